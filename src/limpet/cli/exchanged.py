"""A bundle in the cache that is made from another one there.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from limpet.cli import kept, say
from limpet.tools.cache import Cache

if TYPE_CHECKING:
    from limpet.building.last import Changed

BUNDLE = "bundle"
"""The file in an entry."""


def exchanged(folder: Path, changed: Changed, cache: Cache, given: Mapping[str, Path]) -> bool:
    """Make the bundle in ``folder`` from the last one, if that is still there and can be."""
    last = cache.held(changed.base)
    if last is None:
        return False
    with last as base:
        if not from_last(changed, base, folder / BUNDLE):
            return False
        for each in (kept.WARNINGS, kept.GIVEN):
            if (base / each).exists():
                (folder / each).write_bytes((base / each).read_bytes())
    if changed.names:
        kept.write_names(folder / kept.GIVEN, given)
    return True


def from_last(changed: Changed, base: Path, target: Path) -> bool:
    """Make the bundle from the last one, in its entry ``base``, if it can be."""
    started = time.monotonic()
    made = changed.write(base / BUNDLE, target)
    if made:
        what = "names and texts" if changed.names else "texts"
        say.detail(f"only {what} have changed: built in {time.monotonic() - started:.2f} s")
    return made
