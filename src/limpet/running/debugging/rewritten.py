"""The program as it was before its system calls were rewritten: what a debugger works with.

Whoever looks at the code sees the program's own; a stop in a trampoline is one at the instruction
that lies there; and a breakpoint goes to where its instruction is now, so that no jump is damaged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from limpet.guests.inside import SITE_SIZE, Window


class Rewritten:
    """The windows of one program."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._by_trampoline = sorted(windows, key=lambda each: each.trampoline)
        self._trampolines = [each.trampoline for each in self._by_trampoline]
        self._by_start = sorted(windows, key=lambda each: each.start)
        self._starts = [each.start for each in self._by_start]
        self._slots = {each.slot: each for each in windows if each.slot}
        pieces = [(each.start, each.original) for each in windows]
        self._pieces = sorted(pieces + [(each.slot, each.padding) for each in windows if each.slot])
        self._piece_starts = [at for at, _ in self._pieces]

    def shown(self, address: int) -> int:
        """Where the program stands that stands at ``address``."""
        if address in self._slots:
            return self._slots[address].site
        index = bisect_right(self._trampolines, address) - 1
        if index < 0 or address >= self._by_trampoline[index].trampoline_end:
            return address
        each = self._by_trampoline[index]
        offset = address - each.trampoline
        if offset <= each.site - each.start:
            return each.start + offset
        if address < each.back:
            return each.site
        return min(each.site + SITE_SIZE + address - each.back, each.end)

    def placed(self, address: int) -> int:
        """Where the instruction is now that the program has at ``address``."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._by_start[index].end:
            return address
        each = self._by_start[index]
        if address == each.start:
            return address
        if address <= each.site:
            return each.trampoline + address - each.start
        return each.back + address - each.site - SITE_SIZE

    def is_slot(self, address: int) -> bool:
        """Whether a short jump of a window leads to ``address``."""
        return address in self._slots

    def original(self, address: int, data: bytes) -> bytes:
        """Memory at ``address`` with the program's own code in it."""
        end = address + len(data)
        index = max(bisect_right(self._piece_starts, address) - 1, 0)
        if index >= len(self._pieces):
            return data
        changed = bytearray(data)
        for at, code in self._pieces[index:]:
            if at >= end:
                break
            low, high = max(at, address), min(at + len(code), end)
            if low < high:
                changed[low - address : high - address] = code[low - at : high - at]
        return bytes(changed)
