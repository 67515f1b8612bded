"""The cache: what was made once from the same inputs is not made again.

An entry is a folder whose name says what it was made from, so that it never goes stale; deleting
the cache is always safe.  It is private to its user (:mod:`limpet.tools.private`), has a size that
it is kept below, and throws out first what was not used for the longest time
(:mod:`limpet.tools.upkeep`).  Who uses an entry holds a lock on it, and what is locked stays; where
a file system has no locks, nothing is thrown out.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from limpet.errors import PlanError
from limpet.tools.entries import DEFAULT_LIMIT, Entries, Entry

if TYPE_CHECKING:
    from pathlib import Path


class Cache(Entries):
    """Entries that are made where they are missing."""

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

    def keep_few(self, name: str, keys: Sequence[str]) -> None:
        """Note entries under ``name``, the new one last, and throw out all that were but a few.

        Raises:
            BuildError: the cache cannot be written, or somebody else could have.
        """
        if keys[-1] in (self.text(name) or "").split():
            return
        from limpet.tools import upkeep

        upkeep.keep_few(self, name, keys)

    def put_text(self, key: str, text: str) -> None:
        """Keep a text that says what was found out about ``key``.

        Raises:
            BuildError: the cache cannot be written, or somebody else could have.
        """
        from limpet.tools import upkeep

        upkeep.put_text(self, key, text)


def _place() -> str:
    chosen = os.environ.get("LIMPET_CACHE")
    if chosen:
        return os.path.abspath(chosen)
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # its specification says to ignore others
        return os.path.join(base, "limpet")
    home = os.path.expanduser("~")
    if home == "~":
        raise PlanError(
            "there is no home folder to keep a cache in",
            hint="set LIMPET_CACHE to a folder of your own",
        )
    return os.path.join(home, ".cache", "limpet")


def _limit() -> int:
    given = os.environ.get("LIMPET_CACHE_SIZE")
    if not given:
        return DEFAULT_LIMIT
    from limpet.tools import units

    try:
        return units.size(given)
    except ValueError as error:
        raise PlanError(f"LIMPET_CACHE_SIZE: {error}", hint="LIMPET_CACHE_SIZE=2G") from None
