"""What every kind of guest offers: a folder here with a ``kind.py`` that has a ``KIND``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.formats.image import Image, Program
from limpet.guests.inside import Inside
from limpet.loading.guest import Guest
from limpet.loading.verdict import Judged
from limpet.planning.options import Options
from limpet.planning.plan import Plan
from limpet.tools.cache import Cache
from limpet.tools.freestanding import Sizes

Contents = Mapping[str, bytes]
"""What the linker gives for each region that it fills, by the region's name."""

Symbols = Mapping[str, int]


@dataclass(frozen=True)
class Kind:
    """A kind of guest.

    ``images`` are the values of :attr:`Image.kind` that are its own.  ``read`` gives ``None`` for a
    program that is of another kind; the one kind with ``fallback`` is asked last.  ``defaults``
    completes the options that the user left open.  ``room`` says how much there is for what stands
    beside a guest; ``measure`` how large that can be, compiled, for a guest that takes more.
    ``check`` says what is wrong with options whatever the guest, before that is read.
    ``judge`` gives the verdict on a guest, so that it is there when a plan asks.  ``plan`` is pure;
    ``link`` links what stands beside the guest; ``inside`` says to a debugger what that is.
    """

    name: str
    images: frozenset[str]
    read: Callable[[Program], Image | None]
    defaults: Callable[[Image, Options], Options]
    room: Callable[[Image, Cache], Sizes]
    measure: Callable[[Image, Cache], Sizes]
    plan: Callable[[Guest, Options, Sizes], Plan]
    link: Callable[[Plan, Path, Cache], tuple[Contents, Symbols]]
    inside: Callable[[Plan, Symbols, Cache], Inside]
    check: Callable[[Options], None] = lambda _: None
    judge: Callable[[Guest], Judged | None] = lambda _: None
    fallback: bool = False
