"""The cache: what was made once from the same inputs is not made again.

An entry is a folder whose name says what it was made from, so that it never goes stale; deleting
the cache is always safe.  It is private to its user (:mod:`limpet.tools.private`), has a size that
it is kept below, and throws out first what was not used for the longest time
(:mod:`limpet.tools.upkeep`).  Who uses an entry holds a lock on it, and what is locked stays; where
a file system has no locks, nothing is thrown out.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import BuildError, PlanError
from limpet.tools import private

DEFAULT_LIMIT = 2 << 30
"""Bytes."""


class Entry:
    """A folder of the cache that stays while it is held: ``with entry as path``."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.handle = handle

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)


@dataclass(frozen=True)
class Cache:
    """A folder of entries, kept below ``limit`` bytes."""

    root: Path
    limit: int = DEFAULT_LIMIT

    @classmethod
    def default(cls) -> Cache:
        """``$LIMPET_CACHE``, or ``limpet`` in the user's cache folder; ``$LIMPET_CACHE_SIZE``.

        Raises:
            PlanError: the size is not one, or there is no place for a cache.
        """
        return cls(_place(), _limit())

    def folder(self, key: str, make: Callable[[Path], None]) -> Entry:
        """The entry ``key``; ``make`` fills the folder that it is given when there is none.

        Args:
            key: a word, ``-`` and a SHA-256 in hex.

        Raises:
            BuildError: the cache cannot be written, or somebody else could have.
        """
        found = self.held(key)
        if found is not None:
            return found
        from limpet.tools import upkeep

        return upkeep.made(self, key, make)

    def held(self, key: str) -> Entry | None:
        """The entry ``key`` if there is one.

        Raises:
            BuildError: somebody else could have written it.
        """
        self.check()
        path = self.root / key
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(path, error.strerror or "it cannot be read") from error
        try:
            lock(handle, fcntl.LOCK_SH)  # waits while it is being thrown out
            if not _still_there(path, handle):
                os.close(handle)
                return None
            _check_entry(path, handle)
        except BaseException:
            os.close(handle)
            raise
        _used(handle)
        return Entry(path, handle)

    def text(self, key: str) -> str | None:
        """What :meth:`put_text` wrote for ``key`` last, or ``None``.

        Raises:
            BuildError: somebody else could have written it.
        """
        self.check()
        path = self.root / key
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(path, error.strerror or "it cannot be read") from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise refused(path, "it is not a file")
        with open(handle, encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            why = private.problem(os.fstat(handle))
            if why:
                raise refused(path, why)
            _used(handle)
            return stream.read()

    def put_text(self, key: str, text: str) -> None:
        """Keep a text that says what was found out about ``key``.

        Raises:
            BuildError: the cache cannot be written, or somebody else could have.
        """
        from limpet.tools import upkeep

        upkeep.put_text(self, key, text)

    def check(self) -> None:
        """Nothing, or an error when another user could have put something in.

        Raises:
            BuildError: they could.
        """
        try:
            why = private.problem(os.lstat(self.root)) or private.way_problem(self.root)
        except FileNotFoundError:
            why = private.way_problem(self.root)
        except OSError as error:
            raise BuildError(
                f"{self.root}: the cache cannot be used: {error.strerror}",
                hint="set LIMPET_CACHE to a folder of your own",
            ) from error
        if why:
            raise refused(self.root, why)


def _place() -> Path:
    chosen = os.environ.get("LIMPET_CACHE")
    if chosen:
        return Path(os.path.abspath(chosen))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # its specification says to ignore others
        return Path(base, "limpet")
    try:
        return Path.home() / ".cache" / "limpet"
    except RuntimeError:
        raise PlanError(
            "there is no home folder to keep a cache in",
            hint="set LIMPET_CACHE to a folder of your own",
        ) from None


def _limit() -> int:
    given = os.environ.get("LIMPET_CACHE_SIZE")
    if not given:
        return DEFAULT_LIMIT
    from limpet.tools import units

    try:
        return units.size(given)
    except ValueError as error:
        raise PlanError(f"LIMPET_CACHE_SIZE: {error}", hint="LIMPET_CACHE_SIZE=2G") from None


def lock(handle: int, how: int) -> bool:
    """Lock an open file or folder; whether it is locked now."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True


def refused(path: Path, why: str) -> BuildError:
    """The error for a part of the cache that may be somebody else's doing."""
    return BuildError(
        f"{path}: not used as a cache, since somebody else may have written it: {why}",
        hint=f"rm -r {path}, or set LIMPET_CACHE to a folder of your own",
    )


def _still_there(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _check_entry(path: Path, handle: int) -> None:
    why = private.problem(os.fstat(handle))
    if why:
        raise refused(path, why)
    with os.scandir(handle) as entries:
        for each in entries:
            why = private.problem(each.stat(follow_symlinks=False))
            if why:
                raise refused(path / each.name, why)


def _used(handle: int) -> None:
    """Note that an entry was used now; a cache that is read-only serves as well."""
    with suppress(OSError):
        os.utime(handle)
