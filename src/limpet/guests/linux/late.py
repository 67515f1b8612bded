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
from limpet.planning.seccomp import LARGE_CODE

LOAD = "load"
"""The hypercall that asks for it in a virtual machine."""

MOST_ZEROS = 64 << 10
"""Bytes of zeros behind an object's data: what is only read has them in the file."""

RUNS_MOST = 600
"""Runs of data that a filter has rules for: a program with more has more pieces of memory than
Linux starts, which is said when its bundle is made."""

INSTRUCTIONS_MOST = 3600
"""Of a filter, for rules of what is late: the kernel takes 4096, and there are others."""

_FOR_RUN, _FOR_CODE, _FOR_LARGE = 3, 2, 6
"""Instructions for a run of data, for code that is late, and for large such code, at most."""

READY_MOST = 240
"""Shared objects of a process that have all their rights from the start: each is four pieces of
memory, and Linux starts a program with 1169."""

CODE, ALL = Access.EXECUTE, Access.EXECUTE | Access.WRITE
"""What of an object waits: its code, or its data as well."""

RIGHTS = {Access.READ | Access.EXECUTE: 5, Access.READ | Access.WRITE: 3}
"""What ``protect`` calls the rights that an object asks for when it is loaded."""


def waiting(guest: Guest, backends: Sequence[Backend]) -> Mapping[int, Access]:
    """Which rights of the memory of each shared object wait, by its inode.

    All of an object that is not loaded when ``guest`` starts, or goes on, or that it does not use
    at first, where that is on one backend alone; in a process, no more of them than its filter has
    room for rules for.
    """
    if len(backends) != 1:
        return {}
    there = {*needed(guest), *(guest.memory.loaded if guest.memory else ())}
    there |= {guest.loader.inode} if guest.loader else set()
    there -= set(guest.memory.idle if guest.memory else ())
    able = [each for each in guest.objects if can_wait(each.image)]
    late = {each.inode: ALL for each in able if each.inode not in there}
    if backends == ("kvm",):
        return late
    loader = guest.loader.inode if guest.loader else 0
    ready = [each for each in able if each.inode in there - {loader}]
    rights = CODE if guest.memory else ALL
    late |= {each.inode: rights for each in ready[READY_MOST:]}
    idle = guest.memory.idle if guest.memory else ()
    able.sort(key=lambda each: each.inode not in idle)  # these have nothing else
    found = _with_room(guest, (each for each in able if each.inode in late))
    return {each.inode: late[each.inode] for each in found}


def _with_room(guest: Guest, objects: Iterable[SharedObject]) -> Iterator[SharedObject]:
    """Those of ``objects`` that a filter has room for, beside all data that can be written."""
    images = guest.image, *(each.image for each in guest.objects)
    runs = sum(map(_data_runs, images))
    if runs > RUNS_MOST:
        return
    left = INSTRUCTIONS_MOST - runs * _FOR_RUN
    for each in objects:
        (size,) = _code(each.image)
        left -= _FOR_CODE if size < LARGE_CODE else _FOR_LARGE
        if left < 0:
            return
        yield each


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


def _data_runs(image: Image) -> int:
    """How many runs of pages it can write."""
    written = [each for each in image.segments if Access.WRITE in each.access]
    apart = (b.address // PAGE > -(-a.end // PAGE) for a, b in pairwise(written))
    return bool(written) + sum(apart)


def _code(image: Image) -> list[int]:
    """Bytes of each run of code, in whole pages."""
    return [
        align_up(each.end, PAGE) - each.address // PAGE * PAGE
        for each in image.segments
        if Access.EXECUTE in each.access
    ]


def can_wait(image: Image) -> bool:
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


def marked(
    regions: Sequence[Region], objects: Iterable[tuple[int, int, int, Access]]
) -> tuple[Region, ...]:
    """``regions`` with those marked that wait, and those that could.

    Args:
        objects: ascending, runs of those that could, whose they are, and what of them waits.
    """
    places = iter((*objects, (1 << 64, 1 << 64, 0, ALL)))
    low, high, inode, rights = next(places)
    found = []
    for region in regions:
        while region.address >= high:
            low, high, inode, rights = next(places)
        able = inode if low <= region.address else None
        waits = able and (rights == ALL or rights & region.access)
        found.append(replace(region, late=inode if waits else None, able=able))
    return tuple(found)
