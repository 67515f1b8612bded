"""The pinned C toolchain: ``zig cc`` and ``ld.lld`` from the PyPI package ``ziglang``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from limpet.errors import CompileError, ToolchainError
from limpet.sources import C_ROOT
from limpet.tools import upkeep
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry
from limpet.tools.pinned import GUEST_PROGRAM, version, zig
from limpet.tools.process import Bounds, Completed, run
from limpet.tools.progress import Progress, silent
from limpet.tools.strip import without_debug

__all__ = ["FREESTANDING", "GUEST_PROGRAM", "compile_object", "compile_program", "link", "version"]
__all__ += ["zig"]

FREESTANDING = (
    "-target",
    "x86_64-unknown-none-elf",
    "-nostdinc",
    "-std=c11",
    "-ffreestanding",
    "-fPIE",
    "-mgeneral-regs-only",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fomit-frame-pointer",
    "-fno-strict-aliasing",
    "-g0",
    "-Wall",
    "-Wextra",
    "-Werror",
)
"""Flags for all C that runs below an operating system; no path or date gets into the output."""

COMPILE_TIMEOUT = 300.0
"""Seconds; the first link against musl builds that libc, which takes most of a minute."""


LIBC = "libc"
"""A file in zig's own folder that says that the libc of programs is there."""


def shared_folder(cache: Cache) -> Entry:
    """The folder of what zig builds once: the libc of programs."""
    key = f"zig-{hashlib.sha256(version().encode()).hexdigest()}"
    return cache.folder(key, lambda _: None)


@contextmanager
def _own_folders() -> Iterator[tuple[Path, dict[str, str]]]:
    """Zig's folder in the cache, and the environment of a compiler that writes nowhere else.

    Nothing of the user's environment is in it: ``CPATH`` and its like would be inputs that no key
    knows.  What zig keeps of one call is thrown away with it; what it builds once stays.
    """
    cache = Cache.default()
    with shared_folder(cache) as shared, upkeep.workspace(cache) as own:
        yield (
            shared,
            {
                "PATH": os.environ.get("PATH", os.defpath),
                "TMPDIR": str(own),
                "ZIG_GLOBAL_CACHE_DIR": str(shared),
                "ZIG_LOCAL_CACHE_DIR": str(own),
            },
        )


def _zig(output: Path, read: Sequence[Path], *words: str | Path) -> Completed:
    """Run zig on Limpet's own C: it reads nothing but that, and writes nothing but ``output``."""
    with _own_folders() as (shared, environment):
        own = environment["TMPDIR"]
        readable = (str(zig().parent), str(C_ROOT), *map(str, read))
        bounds = Bounds(readable, (str(shared), own, str(output.parent)))
        return run(
            [zig(), *words],
            timeout=COMPILE_TIMEOUT,
            check=False,
            env=environment,
            umask=0o077,
            bounds=bounds,
        )


def compile_object(source: Path, output: Path, *, flags: Sequence[str], include: Path) -> None:
    """Compile one freestanding C or assembly file of ours to an object.

    Raises:
        ToolchainError: it does not compile, which is a fault of Limpet.
    """
    read = (include, source.parent)
    own = zig().parent / "lib" / "include"
    words: list[str | Path] = [*FREESTANDING, *flags, "-isystem", own, "-I", include]
    made = _zig(output, read, "clang", *words, "-c", source, "-o", output)
    _expect(made, f"cannot compile {source.name}")


def link(objects: Sequence[Path], output: Path, script: Path, *flags: str) -> None:
    """Link objects at fixed addresses as ``script`` says, dropping what nothing reaches."""
    words = ["ld.lld", "-nostdlib", "-static", "--gc-sections", "--build-id=none"]
    words += ["-z", "noexecstack", "--no-dynamic-linker", *flags]
    read = (script, *objects)
    made = _zig(output, read, *words, "-T", script, "-o", output, *objects)
    _expect(made, f"cannot link {output.name}")


def compile_program(
    sources: Sequence[Path],
    output: Path,
    flags: Sequence[str] = (),
    *,
    folder: Path | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Compile a user's C program to a static executable.

    Args:
        folder: where the compiler is started, so that ``sources`` and ``flags`` can be relative.
        progress: told what takes a moment.

    Returns:
        Every file that compiler and linker read, relative to ``folder``.

    Raises:
        CompileError: with the compiler's own words.
    """
    with _own_folders() as (shared, environment):
        libc, listed = shared / LIBC, Path(environment["TMPDIR"]) / "inputs"
        if libc.exists():
            progress("compiling")
        else:
            progress("compiling; the first time also a C library, which takes a minute", slow=True)
        argv: list[str | Path] = [zig(), "cc", *GUEST_PROGRAM, *flags, *sources]
        argv += ["-o", output.absolute()]
        argv.append(f"-Wl,--dependency-file={listed}")
        writable = (str(shared), environment["TMPDIR"], str(output.absolute().parent))
        completed = run(
            argv,
            timeout=COMPILE_TIMEOUT,
            check=False,
            cwd=folder,
            env=environment,
            umask=0o077,
            bounds=Bounds(("/",), writable),  # a program's headers may be anywhere
        )
        if completed.code != 0:
            names = ", ".join(str(source) for source in sources)
            raise CompileError(f"{names} does not compile", output=completed.stderr)
        if not libc.exists():
            (shared / upkeep.SIZE).write_text(f"{upkeep.size_of(shared)}\n", encoding="ascii")
            libc.touch()
        read = _listed(listed)
    output.write_bytes(without_debug(output.read_bytes()))
    return read


def _listed(path: Path) -> list[str]:
    """The inputs in the linker's dependency file: a line each, behind the name of the output."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    lines = text.partition("\n\n")[0].split("\n")[1:]
    return list(dict.fromkeys(line.strip(" ").removesuffix(" \\") for line in lines))


def _expect(completed: Completed, what: str) -> None:
    if completed.code != 0:
        raise ToolchainError(f"{what}:\n{completed.stderr}", hint="this is a fault of limpet")
