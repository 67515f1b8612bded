"""A first look at a guest's file: what its kind of guest gets where the user says nothing.

This is on the path of every cached ``limpet run``, so it imports nothing heavy and judges nothing:
what is damaged is complained about when it is read in full.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from limpet.planning.options import Options

if TYPE_CHECKING:
    from limpet.contract import Backend
    from limpet.tools.cache import Cache


@dataclass(frozen=True)
class Usual:
    """What is usual for a kind of guest.

    ``kind`` is what :attr:`Image.kind` will be, or the name of the kind; ``backends`` are those
    that it is made for, ``only`` when it runs on no others; ``devices`` says whether it brings a
    list of its own; ``begin`` compiles what stands beside it, where it never was, while it is read.
    """

    kind: str
    memory: int
    backends: tuple[Backend, ...]
    only: bool = False
    devices: bool = False
    begin: Callable[[Cache, Options], None] = lambda *_: None

    def complete(self, options: Options) -> Options:
        """``options`` with nothing left open: equal ones mean equal bundles."""
        return replace(
            options,
            memory=options.memory or self.memory,
            backends=options.backends or self.backends,
        )


def usual(path: Path) -> Usual:
    """What is usual for the guest at ``path``: what the first ``peek.py`` that knows it says."""
    here = Path(__file__).parent
    names = sorted(each.name for each in os.scandir(here) if os.path.exists(f"{each.path}/peek.py"))
    modules = [import_module(f"limpet.guests.{name}.peek") for name in names]
    modules.sort(key=lambda module: bool(module.FALLBACK))
    found: list[Usual | None] = [module.peek(path) for module in modules]
    return next(each for each in found if each)
