"""What a start chooses, as far as reading shows it: a table that is filled, closed, and stays so.

The bound of each choice stands beside its place.  That the place holds still while the guest runs
is shown here: the monitor makes the table read-only before its filter and gives it no other rights
and no other pages, no filter lets anything make it writable or put other pages there, and no
guest's page tables let it be written.  That the monitor's code keeps to the bound is for making the
bundle again to show.
"""

from __future__ import annotations

import mmap

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inside import Inside
from limpet.audit.late_code import ANEW, written
from limpet.audit.monitor_code import NO_FILTER, Call
from limpet.planning.choices import CHOICE, read_choice

_MPROTECT = NUMBERS["mprotect"]
_GIVE_RIGHTS = frozenset({_MPROTECT, NUMBERS["pkey_mprotect"]})
_MMAP, _MUNMAP, _MREMAP = NUMBERS["mmap"], NUMBERS["munmap"], NUMBERS["mremap"]
_BRING = ANEW - _GIVE_RIGHTS - {_MMAP}
_FIXED, _MOVED_THERE = 0x10, 2  # MAP_FIXED, MREMAP_FIXED


def choice(inside: Inside, at: int) -> str | None:
    """What a start chooses there, in words; ``None`` where that can change, or is none."""
    end = at + CHOICE.size
    part = inside.bundle.part_at(at)
    if part is None or end > part.end or not _stays(inside, at, end):
        return None
    try:
        return read_choice(inside.bundle.memory(at, CHOICE.size))
    except ValueError:
        return None


def _stays(inside: Inside, at: int, end: int) -> bool:
    """Whether nobody can write [at, end) from the moment on at which the guest runs."""
    calls = inside.code.calls
    return any(_closes(call, at, end) for call in calls) and not (
        any(reopens(call, at, end) for call in calls)
        or _filter_opens(inside, at, end)
        or _guest_writes(inside, at, end)
    )


def _closes(call: Call, at: int, end: int) -> bool:
    """Whether a call before the filter makes it read-only."""
    low, size = call.argument(0), call.argument(1)
    if call.numbers != {_MPROTECT} or call.filters != {NO_FILTER} or low is None or size is None:
        return False
    return low <= at and end <= low + size and call.argument(2) == mmap.PROT_READ


def reopens(call: Call, at: int, end: int) -> bool:
    """Whether a call before the filter may give it other rights, or have other pages there.

    It may come before the table is closed, or behind that; what is unmapped leaves room for others.
    """
    if NO_FILTER not in call.filters:
        return False
    first, size, third, fourth, fifth = (call.argument(index) for index in range(5))
    here = _meets(first, size, at, end)
    moved_here = fourth is None or bool(fourth & _MOVED_THERE and _meets(fifth, third, at, end))
    placed = any(flags & _FIXED for flags in call.arguments[3]) or not call.arguments[3]
    return (
        bool(call.numbers & _BRING)
        or bool(call.numbers & _GIVE_RIGHTS and here and third != mmap.PROT_READ)
        or bool(_MUNMAP in call.numbers and here)
        or bool(_MMAP in call.numbers and here and placed)
        or bool(_MREMAP in call.numbers and (here or moved_here))
    )


def _meets(low: int | None, size: int | None, at: int, end: int) -> bool:
    """Whether what begins at ``low`` may have something of [at, end)."""
    return low is None or size is None or (low < end and at < low + size)


def _filter_opens(inside: Inside, at: int, end: int) -> bool:
    """Whether a call that is left can write there, or bring other pages."""
    boxes = [box for decoded in inside.filters.values() for box in decoded.boxes]
    return any(box.number in ANEW for box in boxes) or any(
        low < end and at < high for box in boxes for low, high in written(box)
    )


def _guest_writes(inside: Inside, at: int, end: int) -> bool:
    pages = inside.machine.pages if inside.machine else ()
    return any(
        run.writable and run.physical < end and at < run.physical + run.size for run in pages
    )
