"""What a start of a snapshot shows: the pages that it writes first, and the objects that it leaves
alone.

An object that a guest does not use at first can only be read until it does: two to four pieces of
memory less, of those that a start maps one by one.  The library OS asks for its rights by the rules
of what is loaded late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from limpet.building.bundle import Bundle
from limpet.contract.pages import PAGE
from limpet.formats.image import Access
from limpet.formats.memory import MAX_HOT, MAX_SEALED, Memory
from limpet.planning.plan import Plan
from limpet.planning.regions import Region
from limpet.running.pages import OF_FILE, PRESENT, pages
from limpet.running.sealed import joined

_FIRST, _FIRST_REHEARSED = 160, 320
"""Pages that a start of a process copies at once: those that it writes first, as far as its calls
of the host show that.  Those that it takes apart as it ends are not in one that waits, then; where
it is known what a start does, none of that is left out."""

_GOES_BACK = "rewind"
"""Of a guest that is taken back in place nothing waits: the next would see what was used."""

_LOADS = "load"
"""The hypercall by which the library OS of a virtual machine asks for an object's data."""


@dataclass(frozen=True)
class Learned:
    """``hot`` are the pages that a start writes, and ``idle`` the inodes of its idle objects."""

    hot: tuple[tuple[int, int], ...] = ()
    idle: frozenset[int] = frozenset()


class Looks:
    """Looks at a start again and again, and has seen enough of a process when it has written many
    pages.  In a virtual machine all count, since a page costs an exit there."""

    def __init__(self, *, rehearsed: bool) -> None:
        self._most = _FIRST_REHEARSED if rehearsed else _FIRST
        self._pages: set[int] = set()
        self._idle: set[int] | None = None

    def look(self, pagemap: BinaryIO, bundle: Bundle) -> bool | None:
        """Whether there is nothing more to see."""
        found = set(_written(pagemap, bundle))
        process = "process" in bundle.plan.options.backends
        if _can_be_idle(bundle.plan):
            idle = _idle(pagemap, bundle)
            self._idle = idle if self._idle is None else self._idle & idle
        enough = process and len(found) > self._most
        left = max(self._most - len(self._pages), 0)
        self._pages |= set(sorted(found - self._pages)[:left]) if enough else found
        return True if enough else None

    def learned(self) -> Learned:
        """What was to be seen."""
        return Learned(_runs(self._pages)[:MAX_HOT], frozenset(self._idle or ()))


def _written(pagemap: BinaryIO, bundle: Bundle) -> Iterator[int]:
    """Pages that the file has and that are the process's own now.

    What is loaded late can only be read when the next start brings them.
    """
    for region in bundle.plan.regions:
        late = region.late is not None
        if Access.WRITE not in region.access or region.at_start or late:
            continue
        yield from pages(pagemap, region, PRESENT | OF_FILE, (PRESENT,))


def _runs(pages: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """[low, high) of each row of them, ascending."""
    return tuple(joined((at, at + PAGE) for at in sorted(pages)))


def _there(plan: Plan) -> Iterator[tuple[int, Region]]:
    """What could wait of the shared objects that are there, with their inodes."""
    for each in plan.regions:
        if each.able is not None and each.late is None:
            yield each.able, each


def _can_be_idle(plan: Plan) -> bool:
    """Whether its library OS can ask for the rights of an object: that of a virtual machine where
    others are loaded late."""
    machine = plan.supervisor is not None
    loads = not machine or any(call.name == _LOADS for call in plan.hypercalls)
    return loads and len(plan.options.backends) == 1 and not plan.options.asks(_GOES_BACK)


def _idle(pagemap: BinaryIO, bundle: Bundle) -> set[int]:
    """Inodes of the objects of which nothing was run, and nothing written."""
    able = dict.fromkeys((inode for inode, _ in _there(bundle.plan)), True)
    for inode, region in _there(bundle.plan):
        able[inode] &= not _is_used(pagemap, region)
    return {inode for inode, idle in able.items() if idle}


def _is_used(pagemap: BinaryIO, region: Region) -> bool:
    """Beside what was touched the kernel maps more, but nothing of another piece of memory."""
    if Access.EXECUTE in region.access:
        return any(pages(pagemap, region, PRESENT, (PRESENT,)))
    written = Access.WRITE in region.access
    return written and any(pages(pagemap, region, PRESENT | OF_FILE, (PRESENT,)))


def with_idle(memory: Memory, plan: Plan, idle: frozenset[int]) -> Memory:
    """``memory`` where these objects wait: their data is among what is sealed."""
    data = [
        (each.address, each.end)
        for inode, each in _there(plan)
        if inode in idle and Access.WRITE in each.access
    ]
    sealed = tuple(joined(sorted((*memory.sealed, *data))))
    return replace(memory, sealed=sealed, idle=tuple(sorted(idle)))


def can_wait(memory: Memory, plan: Plan) -> bool:
    """Whether what is idle in ``memory`` waits in ``plan``: a filter has no room for too much."""
    waits = {each.late for each in plan.regions}
    return waits.issuperset(memory.idle) and len(memory.sealed) <= MAX_SEALED
