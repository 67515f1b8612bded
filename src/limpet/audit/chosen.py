"""What a start chooses, as far as reading shows it: a table that is filled, closed, and stays so.

The bound of each choice stands beside its place.  That the place holds still while the guest runs
is shown here: the monitor makes the table read-only before its filter and gives it no other rights,
no filter lets anything make it writable or put other pages there, and no guest's page tables let it
be written.  That the monitor's code keeps to the bound is for making the bundle again to show.
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
        any(_reopens(call, at, end) for call in calls)
        or _filter_opens(inside, at, end)
        or _guest_writes(inside, at, end)
    )


def _closes(call: Call, at: int, end: int) -> bool:
    """Whether a call before the filter makes it read-only."""
    low, size = call.argument(0), call.argument(1)
    if call.numbers != {_MPROTECT} or call.filters != {NO_FILTER} or low is None or size is None:
        return False
    return low <= at and end <= low + size and call.argument(2) == mmap.PROT_READ


def _reopens(call: Call, at: int, end: int) -> bool:
    """Whether a call before the filter may give it other rights, before that or behind it."""
    if not call.numbers & _GIVE_RIGHTS or NO_FILTER not in call.filters:
        return False
    if call.argument(2) == mmap.PROT_READ:
        return False
    low, size = call.argument(0), call.argument(1)
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
