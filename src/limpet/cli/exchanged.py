"""A bundle in the cache that is made from another one there.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from limpet.cli import kept, say
from limpet.tools.cache import Cache

if TYPE_CHECKING:
    from limpet.building.last import Changed

BUNDLE = "bundle"
"""The file in an entry."""

_OWN = "own"
"""A file beside it: which one it was made from, and where its pages are others."""

Own = Sequence[int] | None
"""See :func:`limpet.building.exchange.exchanged`."""


def exchanged(
    folder: Path, changed: Changed, cache: Cache, given: Mapping[str, Path], listed: str
) -> bool:
    """Make the bundle in ``folder`` from the last one, if that is still there and can be.

    Args:
        listed: what it is noted under.
    """
    last = cache.held(changed.base)
    if last is None:
        return False
    with last as base:
        if not made_from(base, folder, partial(_from_last, changed), cache, listed):
            return False
        for each in (kept.WARNINGS, kept.GIVEN):
            if (base / each).exists():
                (folder / each).write_bytes((base / each).read_bytes())
    if changed.names:
        kept.write_names(folder / kept.GIVEN, given)
    return True


def from_last(changed: Changed, base: Path, target: Path) -> bool:
    """Make the bundle from the last one, in its entry ``base``, if it can be."""
    return _from_last(changed, base / BUNDLE, target, None) is not None


def _from_last(changed: Changed, base: Path, target: Path, own: Own) -> Own:
    started = time.monotonic()
    made = changed.write(base, target, own)
    if made is not None:
        what = "names and texts" if changed.names else "texts"
        say.detail(f"only {what} have changed: built in {time.monotonic() - started:.2f} s")
    return made


def made_from(
    base: Path, folder: Path, make: Callable[[Path, Path, Own], Own], cache: Cache, listed: str
) -> bool:
    """Have the bundle in the entry ``base`` made into one in ``folder``.

    A few that were made so are kept. The file of one that has to go is written over: most of it is
    as it has to be, and a bundle of Python has 76 MB.

    Args:
        make: is given the old file and the new one, and where the pages of that are its own.

    Returns:
        Whether it could be.
    """
    import json

    from limpet.tools import upkeep

    status = (base / BUNDLE).stat()
    which = f"{base.name} {status.st_ino} {status.st_mtime_ns}"  # no two snapshots are the same
    with upkeep.spare(cache, listed, status.st_size) as old:
        own = _taken(old, folder, which) if old else None
    made = make(base / BUNDLE, folder / BUNDLE, own)
    if made is None:
        return False
    (folder / _OWN).write_text(_with_sum(json.dumps([which, *made])), "ascii")
    return True


def _with_sum(text: str) -> str:
    """The text of a note behind its sum: one that is torn or was changed is none."""
    from hashlib import sha256

    return f"{sha256(text.encode()).hexdigest()}\n{text}"


def is_made_from_one(entry: Path) -> bool:
    """Whether the bundle in ``entry`` was made from another one."""
    return (entry / _OWN).exists()


def _taken(old: Path, folder: Path, which: str) -> Own:
    """Move the bundle in ``old`` to ``folder`` if it may be written, and was made from that one."""
    import json

    from limpet.tools.executables import is_nobodys

    try:
        note = (old / _OWN).read_text("ascii")
        text = note.partition("\n")[2]
        if note != _with_sum(text):
            return None
        of, *pages = json.loads(text)
        own = list(map(int, pages))
        if of != which or not is_nobodys(old / BUNDLE):
            return None
        os.rename(old / BUNDLE, folder / BUNDLE)
    except (OSError, OverflowError, TypeError, ValueError):
        return None
    return own
