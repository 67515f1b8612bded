"""Which shared objects are only read until they are loaded.

Each piece of memory with rights of its own costs a start and an end of the process 1.6 us.  What a
program may load some day, most of it never, can lie in few pieces that are only read; the library
OS asks for an object's rights as its loader maps it.  In a process these are those of its code and
of its data, and the filter has exactly them.  In a virtual machine, whose page tables have the
rights of all objects from the start, the monitor lets its data be written.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from limpet.contract import Backend
from limpet.contract.pages import PAGE, align_up
from limpet.formats.image import Access, Image
from limpet.loading.guest import Guest, SharedObject
from limpet.planning.options import Options
from limpet.planning.regions import Region

LOAD = "load"
"""The hypercall that asks for it in a virtual machine."""

MOST_ZEROS = 64 << 10
"""Bytes of zeros behind an object's data: what is only read has them in the file."""

RUNS_MOST = 600
"""Runs of data that a filter has rules for: a program with more has more pieces of memory than
Linux starts, which is said when its bundle is made."""

INSTRUCTIONS_MOST = 3600
"""Of a filter, for rules of what is late: the kernel takes 4096, and there are others."""

_FOR_RUN, _FOR_SIZE = 5, 4
"""Instructions for a run of data with code beside it, and for each other size of code, at most."""

RIGHTS = {Access.READ | Access.EXECUTE: 5, Access.READ | Access.WRITE: 3}
"""What ``protect`` calls the rights that an object asks for when it is loaded."""


def late_objects(guest: Guest, backends: Sequence[Backend]) -> frozenset[int]:
    """Inodes of the objects of ``guest`` that are not loaded when it starts, or goes on.

    None, where a process's filter has no room for rules for them all, or not for one backend alone.
    """
    if len(backends) != 1 or (backends == ("process",) and not _has_room(guest)):
        return frozenset()
    there = {*needed(guest), *(guest.memory.loaded if guest.memory else ())}
    there |= {guest.loader.inode} if guest.loader else set()
    return frozenset(
        each.inode for each in guest.objects if each.inode not in there and _apart(each.image)
    )


def _has_room(guest: Guest) -> bool:
    """Whether a filter does."""
    runs = sum(map(_data, (guest.image, *(each.image for each in guest.objects))))
    sizes = {size for each in guest.objects for size in _code(each.image)}
    instructions = runs * _FOR_RUN + len(sizes) * _FOR_SIZE
    return runs <= RUNS_MOST and instructions <= INSTRUCTIONS_MOST


def with_late(
    users: Mapping[str, tuple[str, ...]], options: Options, late: Collection[object]
) -> dict[str, tuple[str, ...]]:
    """What needs each hypercall, and that one where ``late`` data can be loaded on kvm."""
    if not late or options.backends != ("kvm",):
        return dict(users)
    return {**users, LOAD: ("shared objects that are loaded later",)}


def late_data(runs: Iterable[tuple[int, int]]) -> str:
    """The runs of their data that its monitor knows, for ``plan.h``."""
    pairs = ", ".join(f"{{{low:#x}UL, {high:#x}UL}}" for low, high in runs)
    return f"#define LATE_DATA {pairs}\n"


def needed(guest: Guest) -> Iterator[int]:
    """Those that the program's loader looks for at the start, by their names."""
    named: dict[str, list[SharedObject]] = {}
    for each in guest.objects:
        soname = each.image.dynamic.soname if each.image.dynamic else ""
        for name in {os.path.basename(each.path), soname}:
            named.setdefault(name, []).append(each)
    waiting = list(guest.image.dynamic.needed) if guest.image.dynamic else []
    asked = set(waiting)
    while waiting:
        for each in named.get(os.path.basename(waiting.pop()), ()):
            yield each.inode
            more = set(each.image.dynamic.needed if each.image.dynamic else ()) - asked
            asked |= more
            waiting += more


def _data(image: Image) -> int:
    return sum(Access.WRITE in each.access for each in image.segments)


def _code(image: Image) -> list[int]:
    """Bytes of each run of code, in whole pages."""
    return [
        align_up(each.end, PAGE) - each.address // PAGE * PAGE
        for each in image.segments
        if Access.EXECUTE in each.access
    ]


def _apart(image: Image) -> bool:
    """Whether each page has the rights of one segment, and few of them are only zeros.

    It has code, by which one sees that it is loaded, and data, with which that is told.
    """
    segments = image.segments
    rights = {each.access for each in segments}
    return (
        RIGHTS.keys() <= rights <= {Access.READ, *RIGHTS}
        and len(_code(image)) == 1
        and all(align_up(a.end, PAGE) <= b.address // PAGE * PAGE for a, b in pairwise(segments))
        and all(each.memory_size - len(each.data) <= MOST_ZEROS for each in segments)
    )


def marked(regions: Sequence[Region], late: Sequence[tuple[int, int, int]]) -> tuple[Region, ...]:
    """``regions`` with those marked that lie in ``late``: ascending runs, and whose they are."""
    places = iter((*late, (1 << 64, 1 << 64, 0)))
    low, high, inode = next(places)
    found = []
    for region in regions:
        while region.address >= high:
            low, high, inode = next(places)
        found.append(replace(region, late=inode) if low <= region.address else region)
    return tuple(found)
