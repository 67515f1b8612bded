"""The pinned C toolchain: ``zig cc`` and ``ld.lld`` from the PyPI package ``ziglang``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from limpet.errors import CompileError, ToolchainError
from limpet.tools.process import Completed, run
from limpet.tools.strip import without_debug

FREESTANDING = (
    "-target",
    "x86_64-freestanding",
    "-std=c11",
    "-ffreestanding",
    "-fPIE",
    "-mcpu=x86_64-mmx-sse-sse2-x87+soft_float",  # zig ignores -mgeneral-regs-only
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fomit-frame-pointer",
    "-fno-strict-aliasing",
    "-fno-sanitize=all",
    "-g0",
    "-Wall",
    "-Wextra",
    "-Werror",
)
"""Flags for all C that runs below an operating system; no path or date gets into the output."""

GUEST_PROGRAM = ("-target", "x86_64-linux-musl", "-static", "-O2", "-g0", "-fno-sanitize=all")
"""Flags for a user's own ``.c``; symbols stay, since a crash report names functions."""

COMPILE_TIMEOUT = 300.0
"""Seconds; the first link against musl builds that libc, which takes most of a minute."""


@cache
def zig() -> Path:
    """The ``zig`` executable of the installed ``ziglang`` package."""
    spec = importlib.util.find_spec("ziglang")
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
    """Version of the toolchain, part of every cache key and every record."""
    try:
        return "ziglang " + importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        return "ziglang unknown"


def compile_object(source: Path, output: Path, *, flags: Sequence[str], include: Path) -> None:
    """Compile one freestanding C or assembly file of ours to an object.

    Raises:
        ToolchainError: it does not compile, which is a fault of Limpet.
    """
    argv: list[str | Path] = [
        zig(),
        "cc",
        *FREESTANDING,
        *flags,
        "-I",
        include,
        "-c",
        source,
        "-o",
        output,
    ]
    _expect(run(argv, timeout=COMPILE_TIMEOUT, check=False), f"cannot compile {source.name}")


def link(objects: Sequence[Path], output: Path, script: Path, *flags: str) -> None:
    """Link objects at fixed addresses as ``script`` says, dropping what nothing reaches."""
    argv: list[str | Path] = [
        zig(),
        "ld.lld",
        "-nostdlib",
        "-static",
        "--gc-sections",
        "--build-id=none",
    ]
    argv += ["-z", "noexecstack", "--no-dynamic-linker", *flags, "-T", script, "-o", output]
    completed = run([*argv, *objects], timeout=COMPILE_TIMEOUT, check=False)
    _expect(completed, f"cannot link {output.name}")


def compile_program(
    sources: Sequence[Path], output: Path, flags: Sequence[str] = (), *, folder: Path | None = None
) -> None:
    """Compile a user's C program to a static executable; paths in ``flags`` start at ``folder``.

    Raises:
        CompileError: with the compiler's own words.
    """
    files = [source.absolute() for source in sources]
    argv: list[str | Path] = [zig(), "cc", *GUEST_PROGRAM, *flags, *files, "-o", output.absolute()]
    completed = run(argv, timeout=COMPILE_TIMEOUT, check=False, cwd=folder)
    if completed.code != 0:
        names = ", ".join(str(source) for source in sources)
        raise CompileError(f"{names} does not compile", output=completed.stderr)
    output.write_bytes(without_debug(output.read_bytes()))


def _expect(completed: Completed, what: str) -> None:
    if completed.code != 0:
        raise ToolchainError(f"{what}:\n{completed.stderr}", hint="this is a fault of limpet")
