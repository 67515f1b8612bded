"""The entries of a cache: found, held and looked at; :mod:`limpet.tools.upkeep` writes them.

This is on the path of every cached ``limpet run`` and of a sandbox's first call, so it imports
nothing heavy: paths are text here, and a ``Path`` only for who asks for one.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from limpet.errors import BuildError
from limpet.tools import private

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_LIMIT = 2 << 30
"""Bytes."""


class Entry:
    """A folder of the cache that stays while it is held: ``with entry as path``."""

    def __init__(self, place: str, handle: int) -> None:
        self.place = place
        self.handle = handle

    @property
    def path(self) -> Path:
        """Where it is."""
        return _path(self.place)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)


class Entries:
    """A folder of entries, kept below ``limit`` bytes."""

    def __init__(self, root: str | os.PathLike[str], limit: int = DEFAULT_LIMIT) -> None:
        self.place, self.limit = os.fspath(root), limit

    @property
    def root(self) -> Path:
        """The folder."""
        return _path(self.place)

    def held(self, key: str) -> Entry | None:
        """The entry ``key`` if there is one.

        Raises:
            BuildError: somebody else could have written it.
        """
        self.check()
        path = os.path.join(self.place, key)
        handle = _opened(path, os.O_DIRECTORY)
        if handle is None:
            return None
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
        path = os.path.join(self.place, key)
        handle = _opened(path, os.O_NONBLOCK)
        if handle is None:
            return None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise refused(path, "it is not a file")
        with open(handle, encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            why = private.problem(os.fstat(handle))
            if why:
                raise refused(path, why)
            _used(handle)
            return stream.read()

    def check(self) -> None:
        """Nothing, or an error when another user could have put something in.

        Raises:
            BuildError: they could.
        """
        try:
            why = private.problem(os.lstat(self.place)) or private.way_problem(self.place)
        except FileNotFoundError:
            why = private.way_problem(self.place)
        except OSError as error:
            raise BuildError(
                f"{self.place}: the cache cannot be used: {error.strerror}",
                hint="set LIMPET_CACHE to a folder of your own",
            ) from error
        if why:
            raise refused(self.place, why)


def lock(handle: int, how: int) -> bool:
    """Lock an open file or folder; whether it is locked now."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True


def refused(path: str, why: str) -> BuildError:
    """The error for a part of the cache that may be somebody else's doing."""
    return BuildError(
        f"{path}: not used as a cache, since somebody else may have written it: {why}",
        hint=f"rm -r {path}, or set LIMPET_CACHE to a folder of your own",
    )


def _opened(path: str, flags: int) -> int | None:
    """A descriptor of what is there, never by way of a link."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(path, error.strerror or "it cannot be read") from error


def _still_there(path: str, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _check_entry(path: str, handle: int) -> None:
    why = private.problem(os.fstat(handle))
    if why:
        raise refused(path, why)
    with os.scandir(handle) as entries:
        for each in entries:
            why = private.problem(each.stat(follow_symlinks=False))
            if why:
                raise refused(os.path.join(path, each.name), why)


def _path(place: str) -> Path:
    from pathlib import Path

    return Path(place)


def _used(handle: int) -> None:
    """Note that an entry was used now; a cache that is read-only serves as well."""
    with suppress(OSError):
        os.utime(handle)
