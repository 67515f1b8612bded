"""What is usual for a Linux program, which is everything that no other kind of guest knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from limpet.guests.usual import Usual

if TYPE_CHECKING:
    from limpet.tools.cache import Cache


def _begin(cache: Cache) -> None:
    from limpet.guests.linux.library import begin  # not on the way of a bundle that is there

    begin(cache)


FALLBACK = True
USUAL = Usual("linux", memory=128 << 20, backends=("kvm",), begin=_begin)
"""Arena and stack are in the memory; either backend will do."""


def peek(_: Path) -> Usual:
    """What is usual for it, whatever it is."""
    return USUAL
