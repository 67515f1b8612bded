"""The program behind what a user names: an ELF file, a ``.c`` file or a ``limpet.toml`` folder.

The latter two are compiled with the pinned toolchain.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import ImageError, ManifestError
from limpet.formats.files import read_file
from limpet.loading import sources
from limpet.loading.search import would_be_read
from limpet.loading.settings import read_settings
from limpet.tools import toolchain, upkeep
from limpet.tools.cache import Cache
from limpet.tools.inputs import ABSENT, Inputs, digest_of
from limpet.tools.progress import Progress

SETTINGS = "limpet.toml"

TRIES = 3
"""How often something that changes while it is compiled is compiled again."""

_TICK = 20_000_000
"""Nanoseconds that a file's time of change can be behind the clock: the kernel's coarse one."""


@dataclass(frozen=True)
class Found:
    """A program: its bytes, what errors call it, and the file tree that comes with it."""

    data: bytes
    name: str
    root: Path | None = None


def program_of(path: Path, progress: Progress, cache: Cache) -> Found:
    """The program at ``path``, compiled where it is C and something of it has changed.

    Raises:
        InputError: it cannot be compiled, or its ``limpet.toml`` is wrong.
    """
    if not sources.is_source(path):
        return Found(read_file(path), str(path))
    known = sources.known(path, cache)
    entry = cache.held(_entry(known)) if known else None
    if known and entry:
        with entry as folder:
            data = (folder / _PROGRAM).read_bytes()
    else:
        known, data = _compiled(path, progress, cache)
    return Found(data, str(path), Path(known.root) if known.root else None)


_PROGRAM = "program"


def _entry(inputs: Inputs) -> str:
    return f"program-{inputs.made}"


@dataclass(frozen=True)
class _Project:
    """What to compile: ``sources`` and ``flags`` as they are seen from ``folder``."""

    folder: Path | None
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    root: Path | None = None

    def absolute(self, path: str | Path) -> str:
        """A path that the compiler names."""
        return os.path.abspath(os.path.join(self.folder or "", path))


def _project(path: Path) -> _Project:
    if path.is_dir():
        return _manifest(path)
    names = f"-fmacro-prefix-map={path.parent}/="  # __FILE__ is the same wherever it is called from
    return _Project(None, (path,), (names,))


def _manifest(folder: Path) -> _Project:
    """What ``limpet.toml`` in ``folder`` says."""
    path = folder / SETTINGS
    if not os.path.lexists(path):
        raise ManifestError(
            f"{folder}: a folder without {SETTINGS}",
            hint=f"give a program, a .c file, or a folder with {SETTINGS}",
        )
    found = read_settings(read_file(path), str(path))
    root = folder / found.root if found.root else None
    return _Project(folder, tuple(map(Path, found.sources)), found.flags, root)


def _compiled(path: Path, progress: Progress, cache: Cache) -> tuple[Inputs, bytes]:
    """Compile the C at ``path`` and note in the cache what it was made from."""
    with upkeep.workspace(cache) as folder:
        inputs = _settled(path, folder / _PROGRAM, progress)
        data = (folder / _PROGRAM).read_bytes()
    with cache.folder(_entry(inputs), lambda made: _write(made / _PROGRAM, data)):
        cache.put_text(sources.key(path), inputs.text())
    return inputs, data


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _settled(path: Path, output: Path, progress: Progress) -> Inputs:
    """Compile until nothing changes meanwhile: else a note would go with another program.

    Raises:
        ImageError: something never stops changing.
    """
    before = None
    for _ in range(TRIES):
        started = time.time_ns() - _TICK
        inputs = _once(path, output, progress)
        changed = (_changed_since(started, each) for each, _ in inputs.files)
        if inputs == before or not any(changed):
            return inputs
        before = inputs
    raise ImageError(f"{path}: changed while it was compiled", hint="try again")


def _once(path: Path, output: Path, progress: Progress) -> Inputs:
    project = _project(path)
    for source in project.sources:
        read_file((project.folder or Path()) / source)  # a better error than the compiler's
    flags = project.flags
    listed = toolchain.compile_program(
        project.sources, output, flags, folder=project.folder, progress=progress
    )
    read = [str(path / SETTINGS)] if project.folder else []
    read = [*map(os.path.abspath, read), *map(project.absolute, listed)]
    missing, also = would_be_read(read, flags, project.absolute)
    files = [(each, digest_of(each)) for each in dict.fromkeys([*read, *also])]
    files += [(each, ABSENT) for each in missing]
    made = hashlib.sha256(output.read_bytes()).hexdigest()
    root = os.path.abspath(project.root) if project.root else ""
    return Inputs(made, root, tuple(files))


def _changed_since(started: int, path: str) -> bool:
    try:
        return os.stat(path).st_ctime_ns >= started
    except OSError:
        return False
