"""Which pages of a guest that has stopped could only be read then, and which objects were loaded.

In a process the kernel says so, of a virtual machine its guest's page tables do.  They are the
guest's, and believed of what is the guest's alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import BinaryIO

from limpet.arch.x86_64 import paging
from limpet.building.bundle import Bundle
from limpet.contract.pages import PAGE
from limpet.formats.image import Access
from limpet.formats.memory import MAX_SEALED
from limpet.planning.regions import Region

Run = tuple[int, int]
"""[low, high)"""

_ADDRESS = 0x000F_FFFF_FFFF_F000

_MOST = 64 << 20
"""Bytes of them, in a process: what is zeros there is in its file as well."""


def loaded_objects(maps: BinaryIO, bundle: Bundle) -> tuple[int, ...]:
    """Inodes of the objects of which something can be run, or written by a virtual machine's."""
    machine = bundle.plan.supervisor is not None
    letter, access = ("w", Access.WRITE) if machine else ("x", Access.EXECUTE)
    runs = []
    for line in maps.read().decode(errors="replace").splitlines():
        addresses, rights = line.split()[:2]
        if letter in rights:
            low, high = addresses.split("-")
            runs.append((int(low, 16), int(high, 16)))
    found = {
        each.late
        for each in bundle.plan.regions
        if each.late is not None
        and access in each.access
        and any(start < each.end and each.address < end for start, end in runs)
    }
    return tuple(sorted(found))


def sealed(
    memory: BinaryIO, maps: BinaryIO, bundle: Bundle, loaded: tuple[int, ...]
) -> tuple[Run, ...]:
    """Runs of such pages, ascending; none where they are too many or too large.

    Nor for a bundle of both backends, which keep them in different places: its library OS asks for
    these rights again as it goes on.

    Args:
        memory: what a process has at each of its addresses.
        maps: what is mapped where in it: proc(5).
        loaded: inodes of the shared objects whose code could be run.
    """
    if _is_of_both(bundle):
        return ()
    regions = _written(bundle, loaded)
    pages = bundle.plan.supervisor
    found = _in_tables(memory, pages.cr3, regions) if pages else _in_process(maps, regions)
    runs = tuple(joined(found))
    large = not pages and sum(high - low for low, high in runs) > _MOST
    return () if large or len(runs) > MAX_SEALED else runs


def hidden(
    memory: BinaryIO, bundle: Bundle, loaded: tuple[int, ...], kept: Sequence[Run]
) -> tuple[Run, ...]:
    """Runs of pages of a virtual machine's arena that its guest had put out of reach; none where
    they are too many, pages that could only be read are not ``kept`` so, or it can be a process
    as well."""
    pages, regions = bundle.plan.supervisor, _written(bundle, loaded)
    if pages is None or _is_of_both(bundle):
        return ()
    if not kept and any(_in_tables(memory, pages.cr3, regions)):
        return ()
    arena = [each for each in regions if each.name.startswith("arena")]
    runs = tuple(joined(_in_tables(memory, pages.cr3, arena, _is_hidden)))
    return () if len(runs) > MAX_SEALED else runs


def _is_of_both(bundle: Bundle) -> bool:
    return len(bundle.plan.options.backends) > 1


def _written(bundle: Bundle, loaded: tuple[int, ...]) -> list[Region]:
    return [
        each
        for each in sorted(bundle.plan.regions, key=lambda each: each.address)
        if Access.WRITE in each.access and (each.late is None or each.late in loaded)
    ]


def _is_hidden(entry: int) -> bool:
    return entry & (paging.PRESENT | paging.MARK) == paging.MARK


def _is_sealed(entry: int) -> bool:
    return entry & (paging.PRESENT | paging.WRITABLE) == paging.PRESENT


def _in_process(maps: BinaryIO, regions: Iterable[Region]) -> Iterator[Run]:
    maps.seek(0)
    read_only = []
    for line in maps.read().decode(errors="replace").splitlines():
        addresses, rights = line.split()[:2]
        if rights.startswith("r--"):
            low, high = addresses.split("-")
            read_only.append((int(low, 16), int(high, 16)))
    for region in regions:
        for first, end in read_only:
            if first < region.end and region.address < end:
                yield max(first, region.address), min(end, region.end)


def _in_tables(
    memory: BinaryIO,
    root: int,
    regions: Iterable[Region],
    wanted: Callable[[int], bool] = _is_sealed,
) -> Iterator[Run]:
    @cache
    def table(at: int) -> Sequence[int]:
        found = b""
        with suppress(OSError):  # nothing is there: the guest says where a table is
            memory.seek(at)
            found = memory.read(PAGE)
        return struct.unpack("<512Q", found.ljust(PAGE, b"\0"))

    for region in regions:
        at = region.address
        while at < region.end:
            entry, size = _entry(table, root, at)
            end = min(at // size * size + size, region.end)
            if wanted(entry):
                yield at, end
            at = end


def _entry(table: Callable[[int], Sequence[int]], root: int, at: int) -> tuple[int, int]:
    """What says where ``at`` is, 0 if nothing does, and of how many bytes it says that."""
    here = root
    for shift in (39, 30, 21, 12):
        entry = table(here)[at >> shift & 511]
        if not entry & paging.PRESENT or entry & paging.LARGE or shift == 12:
            runs = entry & paging.PRESENT and not entry & paging.NO_EXECUTE
            return 0 if runs else entry, 1 << shift
        here = entry & _ADDRESS
    return 0, PAGE


def joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Runs that ascend, those that touch as one."""
    low = high = 0
    for start, end in runs:
        if start != high and low < high:
            yield low, high
        low, high = (low if start == high else start), end
    if low < high:
        yield low, high
