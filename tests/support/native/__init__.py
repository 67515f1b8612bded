"""Parts of the library OS as a library of this process."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings

from limpet import contract
from limpet.formats.tree import layout as tree
from limpet.sources import GUEST_INCLUDES
from limpet.tools.toolchain import compile_object, zig
from tests.support import SUPPORT

NATIVE = SUPPORT / "native"

PAGE = 4096

EFAULT, EINVAL, ENOMEM, EEXIST = 14, 22, 12, 17

U64, S64, PTR, INT = ctypes.c_uint64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int

Unit = Callable[..., int]

quick = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Library:
    """One file of tests/support/native with what it includes, loaded."""

    def __init__(self, name: str, folder: Path, includes: Sequence[str] = GUEST_INCLUDES) -> None:
        (folder / "contract.h").write_text(contract.c_header())
        (folder / "tree_format.h").write_text(tree.c_header())
        made = folder / f"{name}.o"
        flags = ["-O2", "-fPIC", *includes]
        compile_object(NATIVE / f"{name}.c", made, flags=flags, include=folder)
        output = folder / f"{name}.so"
        subprocess.run([zig(), "ld.lld", "-shared", "-o", output, made], check=True)
        self._loaded = ctypes.CDLL(str(output))

    def __call__(self, name: str, result: type | None, *arguments: type) -> Unit:
        """A function of it."""
        function = self._loaded[name]
        function.restype, function.argtypes = result, arguments
        return function
