"""How a program comes to a place in its code: always, by direct calls, by a pointer, or never."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from limpet.arch.x86_64.calls import Calls, leads_to, loaded, straight
from limpet.arch.x86_64.registers import LEAVES
from limpet.arch.x86_64.sites import Scan
from limpet.formats.image import Image
from limpet.loading.verdict import Certainty

FAR, NEXT = 10, 1
"""Calls from the start of the program's own code within which a way is looked for."""

_DEPTH = 24
"""Calls within calls that are followed for what always runs."""

_WITHIN_ASKING = 6
_SHOWN = 3
"""Functions that are shown at each end of a long way."""

_ASKING = re.compile(
    r"_*(libc_)?(pthread_create|v?fork|posix_spawnp?|system|popen|exec[lv]p?e?|socket"
    r"|fanotify_init)(@.*)?"
)
"""Functions that exist to ask: to call one is to ask, whatever it looks at first."""


@dataclass(frozen=True)
class Way:
    """How surely one of some places is come to, which one, and the functions on the way."""

    certainty: Certainty
    place: int
    functions: tuple[str, ...]

    def __str__(self) -> str:
        if not self.functions:
            return "only a pointer leads there"
        functions = self.functions
        if len(functions) > 2 * _SHOWN + 1:
            between = f"{len(functions) - 2 * _SHOWN} more"
            functions = (*functions[:_SHOWN], between, *functions[-_SHOWN:])
        return " > ".join(functions)


class Ways:
    """The ways through one program; ``base`` is added to addresses that are shown."""

    def __init__(self, calls: Calls, base: int) -> None:
        self._calls = calls
        self._base = base
        self._names = {each.address: each.name for each in calls.image.symbols}
        first = calls.also or (calls.image.entry,)
        self._roots = {*first, *(each for root in first for each in calls.given(root))}
        self._always: set[int] = set()
        self._asking: set[int] = set()
        for root in first:
            self._follow(root, _DEPTH)

    def to(self, places: Collection[int], limit: int) -> Way | None:
        """The best way to one of ``places``, ``None`` when nothing leads to any of them.

        ``limit`` is how many calls long a way may be that makes it probable.
        """
        found = self._calls.way(self._roots, places, limit)
        certain = self._always.intersection(places) or (
            self._asking and self._calls.way(self._asking, places, _WITHIN_ASKING)
        )
        if found:
            certainty = Certainty.CERTAIN if certain else Certainty.PROBABLE
            return Way(certainty, found[1], self._functions(found[0]))
        if certain or self._calls.is_named(places):
            return Way(Certainty.CONCEIVABLE, min(places), ())
        return None

    def _functions(self, chain: Iterable[int]) -> tuple[str, ...]:
        starts = dict.fromkeys(self._calls.function(each) for each in chain)
        return tuple(self._names.get(each) or f"{each + self._base:#x}" for each in starts)

    def _follow(self, at: int, depth: int) -> None:
        """Collect what runs before the first decision, and the functions called that ask."""
        code = self._calls.body(at).code
        while at in code and at not in self._always:
            self._always.add(at)
            each = code[at]
            mnemonic = each[2].split()[-1]
            target = leads_to(each)
            if target is not None and mnemonic in ("call", "jmp"):
                if _ASKING.fullmatch(self._names.get(target, "")):
                    self._asking.add(target)
                if depth:
                    self._follow(target, depth - 1)
            elif mnemonic[0] == "j":
                return
            if mnemonic in LEAVES:
                return
            at += each[1]


def calls_of(image: Image, scan: Scan) -> Calls:
    """The calls of a program, which starts at its own code."""
    main = _main_function(image)
    return Calls(image, scan.branches, () if main is None else (main,))


def _main_function(image: Image) -> int | None:
    """Where the program's own code begins, ``None`` when the start-up code calls it directly.

    The start-up code of glibc and musl hands main to ``__libc_start_main`` in RDI.
    """
    for symbol in image.symbols:
        if symbol.name in ("main", "main.main"):
            return symbol.address
    code = list(straight(image, image.entry))
    targets = [target for each in code if (target := leads_to(each)) is not None]
    for each in (*code, *(each for target in targets for each in straight(image, target))):
        value = loaded(each)
        handed = each[2] in ("mov", "lea") and each[3].startswith(("rdi,", "edi,"))
        if handed and value and any(s.address <= value < s.end for s in image.executable):
            return value
    return None
