"""What is usual for a Linux program, which is everything that no other kind of guest knows."""

from __future__ import annotations

from pathlib import Path

from limpet.guests.usual import Usual

FALLBACK = True
USUAL = Usual("linux", memory=128 << 20, backends=("kvm",))
"""Arena and stack are in the memory; either backend will do."""


def peek(_: Path) -> Usual:
    """What is usual for it, whatever it is."""
    return USUAL
