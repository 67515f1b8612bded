"""Whether another user of this host could exchange a shared object that is packed from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from limpet.plain import quoted
from limpet.tools.private import others_may_write, way_problem


def warnings(paths: Iterable[str]) -> Iterator[str]:
    """What to say of those of ``paths`` that somebody else could have written."""
    for path in paths:
        try:
            why = others_may_write(os.stat(path)) or way_problem(path)
        except OSError:
            continue  # it is in the tree, not on this host
        if why:
            yield f"{quoted(path)} can be exchanged by another user of this host: {why}"
