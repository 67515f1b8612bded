"""What is usual for a Linux program, which is everything that no other kind of guest knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from limpet.guests.usual import Usual

if TYPE_CHECKING:
    from limpet.planning.options import Options
    from limpet.tools.cache import Cache


def _begin(cache: Cache, options: Options) -> None:
    from limpet.guests.linux.library import SELDOM, USUAL, begin  # only where there is no bundle

    leads_out = options.devices or options.publish or options.connect
    more = leads_out or options.snapshot or options.asks("trace")
    begin(cache, (USUAL, SELDOM) if more else (USUAL,))


FALLBACK = True
USUAL = Usual("linux", memory=128 << 20, backends=("kvm",), begin=_begin)
"""Arena and stack are in the memory; either backend will do."""


def peek(_: Path) -> Usual:
    """What is usual for it, whatever it is."""
    return USUAL
