"""What ring 0 needs to arrange a guest's memory: its code is ``c/guest/ring0``."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from limpet.contract.pages import PAGE, align_up

TABLES_LEAST, TABLES_MOST = 1 << 20, 256 << 20

INT3_SIZE = 1

GATE_AT = 0x400
"""Where that code starts in the page of the fault stubs, which it fills."""

NOW_AT = 0
"""Offset, in the page of ring 0's stack, of what has become of it; its first word says where the
next table comes from."""

CODE_SIZE = PAGE - GATE_AT

_PLAN = struct.Struct("<11Q")
PLAN_AT = CODE_SIZE - _PLAN.size
"""Offset of the plan's addresses in the code: at its end."""


def tables_room(memory: int) -> int:
    """Bytes for page tables of what a guest with ``memory`` bytes reserves and touches.

    A table maps 2 MiB: each stack of a thread, and each place of a sparse reservation, has one.
    """
    return align_up(min(max(memory // 16, TABLES_LEAST), TABLES_MOST), PAGE)


def gate_of(page: bytes) -> int:
    """The address behind the INT3 that is a request, from the page with ring 0's code."""
    return int(_PLAN.unpack(page[-_PLAN.size :])[0])


def executes(page: bytes) -> bool:
    """Whether the code of that page makes others executable."""
    return bool(_PLAN.unpack(page[-_PLAN.size :])[-1])


@dataclass(frozen=True)
class Arranging:
    """Where pages can be moved; ``gate`` is the address behind the one INT3 that asks for it."""

    gate: int
    arena: tuple[int, int]
    reserve: tuple[int, int]
    room: int  # bytes for page tables beyond those that are there at the start
    jit: bool = False  # whether pages can become executable

    def code(self, linked: bytes, root: int, row: tuple[int, int], stack: int, end: int) -> bytes:
        """``linked`` with the plan's addresses in the place that it keeps for them.

        Args:
            root: the root of the page tables.
            row: page directories in a row, and the first address that has none of these.
            stack: the page of ring 0's stack.
            end: of the room for tables.
        """
        addresses = self.gate, root, *row, stack + NOW_AT, end, *self.arena, *self.reserve, self.jit
        assert len(linked) == CODE_SIZE and not any(linked[PLAN_AT:])
        return linked[:PLAN_AT] + _PLAN.pack(*addresses)
