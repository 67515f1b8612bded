"""Writing the cache: an entry appears whole or not at all, and old ones make room for it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import BuildError
from limpet.tools.entries import Entries, Entry, lock

_KEY = re.compile(r"[a-z]+-[0-9a-f]{64}")
"""Nothing else is ever thrown out: the folder may be one that holds more than a cache."""

_WORKSPACE, _YOUNG = ".new-", 60
"""How a folder of something unfinished is called; for how many seconds it may be without a lock."""

FEW, FEW_BYTES = 8, 256 << 20
"""Entries of one kind that are kept where each use may make another, and bytes of all but two."""

SIZE = ".size"
"""A file in an entry that changes, with its size in bytes: walking it takes too long."""


@contextmanager
def workspace(cache: Entries) -> Iterator[Path]:
    """An empty folder in the cache, for a moment.

    Raises:
        BuildError: the cache cannot be written, or somebody else could have.
    """
    cache.check()
    try:
        cache.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear_up(cache.root)
        path = Path(tempfile.mkdtemp(prefix=_WORKSPACE, dir=cache.root))
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(cache.root, error) from error
    try:
        lock(handle, fcntl.LOCK_SH)
        cache.check()  # now that it exists
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _clear_up(root: Path) -> None:
    """Remove what was left by somebody who was killed."""
    for path in root.glob(f"{_WORKSPACE}*"):
        try:
            if time.time() - path.lstat().st_mtime > _YOUNG:
                _if_unused(path, lambda path: shutil.rmtree(path, ignore_errors=True))
        except OSError:  # somebody else was first
            continue


def _if_unused(path: Path, then: Callable[[Path], None]) -> bool:
    """Do something with what nobody holds; whether that was so."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        unused = lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if unused:
            then(path)
        return unused
    finally:
        os.close(handle)


def made(cache: Entries, key: str, make: Callable[[Path], None]) -> Entry:
    """Make the entry ``key``, or take the one of somebody who was faster.

    Raises:
        BuildError: the cache cannot be written, or somebody else could have.
    """
    assert _KEY.fullmatch(key), key
    try:
        with workspace(cache) as folder:
            fresh = folder / "entry"
            fresh.mkdir(0o700)
            make(fresh)
            _seal(fresh)
            entry = _published(cache, key, fresh)
        trim(cache)
    except OSError as error:
        raise _unwritable(cache.root, error) from error
    return entry


def _published(cache: Entries, key: str, fresh: Path) -> Entry:
    """Give ``fresh`` its name, held from before anybody can see it."""
    handle = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lock(handle, fcntl.LOCK_SH)
    try:
        while True:
            try:
                os.rename(fresh, cache.root / key)
                return Entry(os.path.join(cache.place, key), handle)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            found = cache.held(key)  # of somebody who was faster; unless it is gone again
            if found is not None:
                os.close(handle)
                return found
    except BaseException:
        os.close(handle)
        raise


def _unwritable(root: Path, error: OSError) -> BuildError:
    return BuildError(
        f"{root}: the cache cannot be written: {error.strerror}",
        hint="set LIMPET_CACHE to a folder that can, with room for some hundred MiB",
    )


def _seal(fresh: Path) -> None:
    """Take the right to write from everybody else, whatever the umask left."""
    for path in [fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o755)


def put_text(cache: Entries, key: str, text: str) -> None:
    """See ``Cache.put_text``."""
    assert _KEY.fullmatch(key), key
    try:
        with workspace(cache) as folder:
            path = folder / "text"
            path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")
            path.chmod(0o600)
            os.replace(path, cache.root / key)
    except OSError as error:
        raise _unwritable(cache.root, error) from error


@contextmanager
def _alone(cache: Entries) -> Iterator[None]:
    """Nobody else notes anything meanwhile."""
    try:
        cache.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(cache.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(cache.root, error) from error
    try:
        lock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def keep_few(cache: Entries, name: str, keys: Sequence[str]) -> None:
    """See ``Cache.keep_few``."""
    with _alone(cache):
        known = (cache.text(name) or "").split()
        noted = [*(each for each in known if each not in keys), *keys]
        kept, gone = _divided(cache.root, noted)
        used = [key for key in gone if not _thrown_out(cache.root, cache.root / key)]
        put_text(cache, name, "\n".join(reversed([*kept, *used])))


@contextmanager
def spare(cache: Entries, name: str, size: int) -> Iterator[Path | None]:
    """The entry of ``name`` that goes when one more is noted, for who can use what is in it.

    It is out of the cache already, and gone afterwards.

    Args:
        size: bytes of the one to come.

    Returns:
        ``None`` where none has to go, or somebody uses it.
    """
    known = (cache.text(name) or "").split()
    gone = [each for each in _divided(cache.root, known, size)[1] if (cache.root / each).exists()]
    if not gone:
        yield None
        return
    with _taken_out(cache.root, cache.root / gone[0]) as path:
        yield path


def _divided(root: Path, keys: Sequence[str], new: int | None = None) -> tuple[list[str], ...]:
    """The keys of which few are kept, and all others, the newest first; ``new`` bytes to come."""
    kept, gone = list[str](), list[str]()
    more, left = (0, FEW_BYTES) if new is None else (1, FEW_BYTES - new)
    for key in filter(_KEY.fullmatch, reversed(keys)):
        size = _size_now(root / key)
        count = more + len(kept)
        if not gone and (count < 2 or (size <= left and count < FEW)):
            kept.append(key)
            left -= size
        else:
            gone.append(key)
    return kept, gone


def _size_now(path: Path) -> int:
    """Bytes that an entry takes; none when it is gone."""
    try:
        return size_of(path)
    except OSError:
        return 0


@dataclass(frozen=True)
class _Kept:
    path: Path
    size: int
    used: float


def trim(cache: Entries) -> None:
    """Throw out what was not used for the longest time until the rest is below the limit."""
    handle = os.open(cache.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(handle, fcntl.LOCK_EX)  # two that trim at once would throw out twice as much
        kept = sorted(_kept(cache.root), key=lambda each: each.used)
        total = sum(each.size for each in kept)
        for each in kept:
            if total <= cache.limit:
                break
            if _thrown_out(cache.root, each.path):
                total -= each.size
    finally:
        os.close(handle)


def size(cache: Entries) -> int:
    """Bytes that its entries take on the disk."""
    return sum(each.size for each in _kept(cache.root))


def _kept(root: Path) -> Iterator[_Kept]:
    for path in root.iterdir() if root.is_dir() else ():
        if _KEY.fullmatch(path.name):
            try:
                yield _Kept(path, size_of(path), path.lstat().st_mtime)
            except OSError:  # gone meanwhile
                continue


def size_of(path: Path) -> int:
    """Bytes that a file or a folder takes on the disk.

    Raises:
        OSError: it is gone.
    """
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_blocks * 512
    try:
        return int((path / SIZE).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        pass
    total = 0
    for folder, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for name in files)
    return total


def _thrown_out(root: Path, path: Path) -> bool:
    """Remove an entry that nobody uses; whether it is gone."""
    with _taken_out(root, path) as taken:
        return taken is not None or not path.exists()


@contextmanager
def _taken_out(root: Path, path: Path) -> Iterator[Path | None]:
    """An entry that nobody uses, out of the cache for a moment before it is gone."""
    trash = Path(tempfile.mkdtemp(prefix=_WORKSPACE, dir=root))
    taken = None
    try:
        with suppress(OSError):
            if _if_unused(path, lambda path: os.rename(path, trash / path.name)):
                taken = trash / path.name
        yield taken
    finally:
        shutil.rmtree(trash, ignore_errors=True)
