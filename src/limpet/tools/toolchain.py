"""The pinned C toolchain: ``zig cc`` and ``ld.lld`` from the PyPI package ``ziglang``."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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

__all__ = ["FREESTANDING", "GUEST_PROGRAM", "compile_beside", "compile_object", "compile_program"]
__all__ += ["link", "version", "zig"]

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


_BESIDE = 5
"""How far compilers that run beside Limpet, one on each processor, give way (``nice``).  What
it does meanwhile is not shared among processors, so it has one for itself, or would end last."""

_ROOTED = "/proc/self/root"
"""Before a path it says the same file, in words that are below no folder that zig is started in.
Where its library is, zig looks for libcs that it built by the path from there, so that each
folder above it would have one more."""


def _library() -> str:
    """Where zig's own library is, as zig is told it."""
    path = f"{_ROOTED}{os.path.abspath(zig().parent)}/lib"
    return path if os.path.isdir(path) else path.removeprefix(_ROOTED)


def libc_mark() -> str:
    """A file in zig's folder that says that it has the libc of programs, for this library."""
    return f"libc-{hashlib.sha256(_library().encode()).hexdigest()[:16]}"


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


def _zig(output: Path, read: Sequence[Path], *words: str | Path, priority: int = 0) -> Completed:
    """Run zig on Limpet's own C: it reads nothing but that, and writes nothing but ``output``."""
    with _own_folders() as (shared, environment):
        own = environment["TMPDIR"]
        readable = (str(zig().parent), str(C_ROOT), *map(str, read))
        bounds = Bounds(readable, (str(shared), own, str(output.parent)), ours=True)
        return run(
            [zig(), *words],
            timeout=COMPILE_TIMEOUT,
            check=False,
            env=environment,
            umask=0o077,
            bounds=bounds,
            priority=priority,
        )


def compile_object(source: Path, output: Path, *, flags: Sequence[str], include: Path) -> None:
    """Compile one freestanding C or assembly file of ours to an object.

    Raises:
        ToolchainError: it does not compile, which is a fault of Limpet.
    """
    words = [*_words(flags, include), "-c", source, "-o", output]
    made = _zig(output, (include, source.parent), "clang", *words)
    _expect(made, f"cannot compile {source.name}")


def words_for_many(like: Path, *, flags: Sequence[str], include: Path) -> Sequence[str]:
    """How a compiler is started for many C files with these ``flags``, as it is for one ``like``
    them.

    Raises:
        ToolchainError: it does not say.
    """
    output = include / "any.o"
    asked = [*_words(flags, include), "-###", "-c", like, "-o", output]
    told = _zig(output, (include, like.parent), "clang", *asked)
    _expect(told, "the compiler does not say how it would be started")
    return _for_many(told.stderr)


def compile_beside(
    sources: Sequence[Path],
    words: Sequence[str],
    *,
    include: Path,
    shares: int = 0,
    started: Callable[[], object] = bool,
) -> None:
    """Compile C files of ours below ``include``, each to an object beside it.

    It is the one that :func:`compile_object` makes.  A compiler starts for about as long as it
    takes to compile a file, so each processor has one compiler, for its share, or there are so many
    ``shares``.  ``words`` are those that it is started with, and ``started`` is told when they have
    it.

    Raises:
        ToolchainError: one does not compile, which is a fault of Limpet.
    """
    output = include / "any.o"

    def one(share: Sequence[Path]) -> None:
        made = _zig(output, (include,), "clang", *words, *share, priority=_BESIDE)
        _expect(made, f"cannot compile one of {len(share)} files")

    found = _shares(sources, shares or len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(len(found)) as pool:
        compiled = pool.map(one, found)
        started()
        list(compiled)


def _words(flags: Sequence[str], include: Path) -> list[str | Path]:
    own = zig().parent / "lib" / "include"
    return [*FREESTANDING, *flags, "-isystem", own, "-I", include]


def _for_many(told: str) -> Sequence[str]:
    """What clang's driver starts to compile one file (``-###``), without what is about that file.

    Started so with many files it compiles one after the other; it has to free what one took.
    """
    words = shlex.split(told.splitlines()[-1])[1:]
    for name in ("-main-file-name", "-o"):
        at = words.index(name)
        del words[at : at + 2]
    words.remove("-disable-free")
    return words[:-1]


def _shares(sources: Iterable[Path], count: int) -> list[list[Path]]:
    """At most ``count`` shares that take about the same time."""
    shares: list[list[Path]] = [[] for _ in range(count)]
    sizes = [0] * count
    for size, source in sorted(((each.stat().st_size, each) for each in sources), reverse=True):
        least = sizes.index(min(sizes))
        shares[least].append(source)
        sizes[least] += size
    return [each for each in shares if each]


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
        libc, listed = shared / libc_mark(), Path(environment["TMPDIR"]) / "inputs"
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
            env=environment | {"ZIG_LIB_DIR": _library()},
            umask=0o077,
            bounds=Bounds(("/",), writable),  # a program's headers may be anywhere
        )
        if completed.code != 0:
            names = ", ".join(str(source) for source in sources)
            said = completed.stderr.replace(f"{_ROOTED}/", "/")
            raise CompileError(f"{names} does not compile", output=said)
        if not libc.exists():
            (shared / upkeep.SIZE).write_text(f"{upkeep.size_of(shared)}\n", encoding="ascii")
            libc.touch()
        read = [each.removeprefix(_ROOTED) for each in _listed(listed)]
    output.write_bytes(without_debug(output.read_bytes()))
    return read


def _listed(path: Path) -> list[str]:
    """The inputs in the linker's dependency file: a line each, behind the name of the output."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    lines = text.partition("\n\n")[0].split("\n")[1:]
    return list(dict.fromkeys(line.strip(" ").removesuffix(" \\") for line in lines))


def _expect(completed: Completed, what: str) -> None:
    if completed.code != 0:
        full = os.strerror(errno.ENOSPC) in completed.stderr
        raise ToolchainError(
            f"{what}:\n{completed.stderr}",
            hint="make room, or set LIMPET_CACHE to a folder with some hundred MiB"
            if full
            else "this is a fault of limpet",
        )
