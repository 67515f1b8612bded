"""Where the pinned C toolchain is, the PyPI package ``ziglang``, and which version it is.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

from limpet.errors import ToolchainError

GUEST_PROGRAM = ("-target", "x86_64-linux-musl", "-static", "-O2", "-g0", "-fno-sanitize=all")
"""Flags for a user's own ``.c``; symbols stay, since a crash report names functions."""

_PACKAGE, _METADATA = "ziglang", ".dist-info"


@cache
def zig() -> Path:
    """The ``zig`` executable of the installed package.

    Raises:
        ToolchainError: it is not there.
    """
    spec = PathFinder.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ToolchainError(
            "the C toolchain is not installed", hint="pip install ziglang, or reinstall limpet"
        )
    path = Path(spec.submodule_search_locations[0]) / "zig"
    if not path.is_file():
        raise ToolchainError(f"{path} is missing", hint="pip install --force-reinstall ziglang")
    return path


@cache
def version() -> str:
    """Version of the toolchain, part of every cache key and every record.

    Raises:
        ToolchainError: it is not there.
    """
    names = os.listdir(zig().parents[1])  # importlib.metadata takes longer than a bundle to start
    found = [name for name in names if name.startswith(f"{_PACKAGE}-") and _METADATA in name]
    if len(found) != 1:
        return f"{_PACKAGE} unknown"
    return f"{_PACKAGE} {found[0].removeprefix(f'{_PACKAGE}-').removesuffix(_METADATA)}"
