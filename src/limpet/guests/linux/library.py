"""The library OS, compiled once for every version of it: its objects.

What is linked for a guest is some of these and two files of generated C.  Most guests have nothing
of a part that leads out of them, so those are compiled apart, for guests that have.  This is
imported before anything is known of a guest, so that a compiler can begin at once: it imports
little.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Lock
from typing import Any

from limpet.errors import BuildError
from limpet.guests.linux import together
from limpet.guests.linux.parts import guest_sources
from limpet.sources import GUEST_INCLUDES, GUEST_ROOT
from limpet.tools import freestanding, toolchain
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry

_FRAME = "-Wframe-larger-than=4608"
"""Bytes, as an error: a thread has 16 KiB of stack in the library OS, and no page below it."""

FLAGS = ("-O2", "-mllvm", "-inline-threshold=50", _FRAME, *GUEST_INCLUDES)
"""What the library OS is compiled with, generated C included.

Files that are compiled as one see each other's functions: without a lower threshold there would be
more code, and no time saved.
"""

USUAL, SELDOM = "libos", "seldom"
"""What is linked with first, and what only where that does not do."""

_SELDOM = ("parts/devices", "parts/outside", "parts/snapshot", "parts/trace", "parts/volumes")
_USUAL = ("parts/outside/refused.c",)
"""Folders that few guests have something of, and what of them others have: a guess, which only
decides about the time that a first build takes."""

_MADE = "made"
"""In the folder of objects: their digests."""

_made_once = Lock()
"""Who needs it while it is compiled waits, and does not compile it as well."""


def begin(cache: Cache, which: Sequence[str] = (USUAL,)) -> None:
    """Compile it where it never was, beside what the caller does meanwhile.

    It returns when the compiler has started: no processor waits for what the caller does.  Whoever
    needs it waits for that; what fails fails again for them.
    """
    pool, started = ThreadPoolExecutor(1), Event()

    def compiled() -> None:
        try:
            for each in which:
                _library(cache, each, started.set).__exit__()
        finally:
            started.set()

    pool.submit(compiled)
    pool.shutdown(wait=False)
    started.wait()


@contextmanager
def objects(cache: Cache, which: Sequence[str] = (USUAL, SELDOM)) -> Iterator[list[Path]]:
    """The objects; they stay meanwhile.

    Raises:
        BuildError: one is not as it was made.
    """
    with ExitStack() as stack:
        folders = [stack.enter_context(_library(cache, each)) for each in which]
        yield [path for folder in folders for path in _whole(folder)]


def _whole(folder: Path) -> Iterator[Path]:
    for name, digest in _made(folder).items():
        path = folder / name
        if not path.is_file() or _digest(path) != digest:
            raise _damaged(path)
        yield path


def _made(folder: Path) -> Any:
    try:
        digest, text = (folder / _MADE).read_text(encoding="ascii").split("\n", 1)
    except (OSError, ValueError):
        digest, text = "", ""
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise _damaged(folder / _MADE)
    return json.loads(text)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _damaged(path: Path) -> BuildError:
    return BuildError(
        f"{path}: this file of the cache is damaged",
        hint=f"rm -r {path.parent}, and look whether the disk is well",
    )


def _library(cache: Cache, which: str, started: Callable[[], object] = bool) -> Entry:
    state = hashlib.sha256(freestanding.guest_digest().encode())
    for own in (__file__, together.__file__):  # how it is compiled, and what is kept of that
        state.update(Path(own).read_bytes())
    with _made_once:
        name = f"{which}-{state.hexdigest()}"
        return cache.folder(name, lambda folder: _make(folder, which, started))


def is_seldom(source: Path) -> bool:
    """Whether it is not among what is linked with first."""
    name = source.relative_to(GUEST_ROOT)
    return str(name.parent) in _SELDOM and str(name) not in _USUAL


def _make(folder: Path, which: str, started: Callable[[], object]) -> None:
    """Compile what is of the library OS into ``folder``; say when that has ``started``."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        sources = [each for each in guest_sources() if is_seldom(each) == (which == SELDOM)]
        in_c = [each for each in sources if each.suffix == ".c"]
        assembly = [each.relative_to(GUEST_ROOT) for each in sources if each.suffix == ".S"]
        with ThreadPoolExecutor(1) as pool:
            words = pool.submit(toolchain.words_for_many, in_c[0], flags=FLAGS, include=work)
            texts = list(together.texts(GUEST_ROOT, in_c))
            write(work, texts)
            assembled = pool.submit(_assembled, assembly, work)
            written = [work / each for each, _ in texts]
            toolchain.compile_beside(written, words.result(), include=work, started=started)
            made = assembled.result() | {each: (work / each).with_suffix(".o") for each, _ in texts}
        digests, own = {}, "" if which == USUAL else f"{which}-"
        for source, path in made.items():
            called = f"{own}{source.replace('/', '-')}.o"
            digests[called] = _digest(path)
            path.rename(folder / called)
    text = json.dumps(dict(sorted(digests.items())))
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / _MADE).write_text(f"{digest}\n{text}", encoding="ascii")


def _assembled(sources: Sequence[Path], work: Path) -> dict[str, Path]:
    """The objects of files of assembly."""
    made = {}
    for each in sources:
        made[str(each)] = work / f"{each.name}.o"
        toolchain.compile_object(work / each, made[str(each)], flags=FLAGS, include=work)
    return made


def write(work: Path, texts: Iterable[tuple[str, str]]) -> None:
    """Write ``texts`` into ``work``, with all that they include, and the assembly beside it."""
    written = {
        str(each.relative_to(GUEST_ROOT)): each.read_text(encoding="utf-8")
        for each in GUEST_ROOT.rglob("*.[hS]")
    }
    for file, text in (*written.items(), *texts):
        (work / file).parent.mkdir(parents=True, exist_ok=True)
        (work / file).write_text(text, encoding="utf-8")
    freestanding.write_headers(work)
