"""Where a program and its shared objects lie: decided once, whatever loads them later.

Objects follow the program in the order of their inodes in the tree, so that one table serves who
looks for a file and who looks for an address.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from limpet.arch.x86_64.sites import Scan
from limpet.contract import BACKENDS, PLACED_OBJECT, PLACED_SEGMENT, Backend
from limpet.contract.pages import PAGE, align_up
from limpet.formats.image import Access, Image, Segment
from limpet.formats.symbols import Symbol
from limpet.guests.linux.bound import bound
from limpet.guests.linux.late import CODE, RIGHTS, can_wait, marked, waiting
from limpet.guests.linux.reach import in_reach
from limpet.loading.guest import Guest, SharedObject
from limpet.planning.regions import NOTHING, Region, image_regions
from limpet.planning.seccomp import PAIR

STATIC_PIE_BASE = 0x400000
"""Where a program that can lie anywhere is placed, like an ordinary executable."""

OBJECT_GAP = PAGE
"""At least that far apart: what runs over the end of one object is not in the next."""


@dataclass(frozen=True)
class Placed:
    """A shared object at ``base``; its image and its scan are at their final addresses.

    What has the rights ``late`` can only be read before it is loaded.
    """

    known: SharedObject
    base: int
    image: Image
    scan: Scan
    late: Access

    @property
    def first(self) -> int:
        """Its first page."""
        return self.image.segments[0].address // PAGE * PAGE

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.image.segments[-1].end


@dataclass(frozen=True)
class PlacedProgram:
    """A program and its objects; ``image`` has the segments and symbols of all of them.

    ``parts`` are what is rewritten, ``reached`` has the sites that can be come to.
    """

    image: Image
    parts: tuple[tuple[Image, Scan], ...]
    reached: Scan
    objects: tuple[Placed, ...]
    start: int
    loader: int

    @property
    def table_size(self) -> int:
        """Bytes of :meth:`table`."""
        segments = sum(len(each.image.segments) for each in self.objects)
        return len(self.objects) * PLACED_OBJECT.size + segments * PLACED_SEGMENT.size

    def table(self, at: int) -> bytes:
        """``placed_object`` of each, then all of ``placed_segment``, to lie at ``at``."""
        segments_at = at + len(self.objects) * PLACED_OBJECT.size
        rows, segments = bytearray(), bytearray()
        for each in self.objects:
            rows += PLACED_OBJECT.pack(
                {
                    "inode": each.known.inode,
                    "base": each.first,
                    "length": each.end - each.first,
                    "alignment": each.image.alignment,
                    "segments": segments_at + len(segments),
                    "segment_count": len(each.image.segments),
                }
            )
            for segment in each.image.segments:
                segments += PLACED_SEGMENT.pack(_segment(segment, each.late))
        return bytes(rows + segments)

    def late_runs(self, access: Access) -> list[tuple[int, int]]:
        """Their segments that have ``access``, in whole pages."""
        return [
            (segment.address // PAGE * PAGE, align_up(segment.end, PAGE))
            for each in self.objects
            for segment in each.image.segments
            if access in each.late and access in segment.access
        ]

    @property
    def code_waits(self) -> bool:
        """Whether code of an object that is loaded waits until the program goes on."""
        return any(each.late == CODE for each in self.objects)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Their memory, marked where it waits or could."""
        able = (
            (each.first, align_up(each.end, PAGE), each.known.inode, each.late)
            for each in self.objects
            if can_wait(each.known.image)
        )
        return marked(image_regions(self.image), able)

    @cached_property
    def scan(self) -> Scan:
        """The sites of all of them."""
        return _together([scan for _, scan in self.parts])


def _together(scans: Sequence[Scan]) -> Scan:
    return Scan(
        tuple(site for scan in scans for site in scan.sites),
        sum(scan.hidden for scan in scans),
        frozenset().union(*(scan.targets for scan in scans)),
    )


def _segment(segment: Segment, late: Access) -> dict[str, int]:
    first = segment.address // PAGE * PAGE
    inside = segment.address - first
    return {
        "address": first,
        "size": align_up(segment.end, PAGE) - first,
        "offset": segment.offset - inside if segment.data else 0,
        "file_size": inside + len(segment.data) if segment.data else 0,
        "writable": int(Access.WRITE in segment.access),
        "late": RIGHTS.get(segment.access, 0) if late & segment.access else 0,
    }


def place(
    guest: Guest, *, late: Sequence[Backend] = BACKENDS, binds: bool = False
) -> PlacedProgram:
    """Give the program of ``guest`` and each of its shared objects a place.

    Args:
        late: for which backends objects can get their rights when they are loaded, if it is one.
        binds: what it starts with is to be bound at once.
    """
    guest = bound(guest) if binds else guest
    base = 0 if guest.image.fixed else STATIC_PIE_BASE
    image = guest.image.moved(base)
    parts = [(image, guest.scan.moved(base))]
    objects = list(_placed(guest, image.segments[-1].end, waiting(guest, late)))
    parts += [(each.image, each.scan) for each in objects]
    within = in_reach(guest)
    reached = [parts[0][1], *(within[each.known.inode].moved(each.base) for each in objects)]
    loader = next((each for each in objects if each.known is guest.loader), None)
    symbols = [*image.symbols, *map(_name_of, objects)]
    return PlacedProgram(
        replace(
            image,
            segments=tuple(segment for part, _ in parts for segment in part.segments),
            symbols=tuple(sorted(symbols, key=lambda each: each.address)),
        ),
        tuple(parts),
        _together(reached),
        tuple(objects),
        loader.image.entry if loader else image.entry,
        loader.base if loader else 0,
    )


def _placed(guest: Guest, end: int, late: Mapping[int, Access]) -> Iterator[Placed]:
    at = end
    for each in guest.objects:
        low = each.image.segments[0].address // PAGE * PAGE
        first = align_up(at + OBJECT_GAP, max(each.image.alignment, PAGE))
        first += _to_pair(each.image, first - low) if each.image.alignment == PAGE else 0
        base = first - low
        moved = each.image.moved(base), each.scan.moved(base)
        yield Placed(each, base, *moved, late.get(each.inode, NOTHING))
        at = align_up(each.image.segments[-1].end + base, PAGE)
        if each.image.alignment > PAGE:  # the room that glibc's loader reserves for it
            at = max(at, first + each.image.alignment) + each.image.alignment


def _to_pair(image: Image, base: int) -> int:
    """Bytes to move it by so that two pages of data are one value for a filter."""
    data = [each for each in image.segments if Access.WRITE in each.access]
    if len(data) != 1:
        return 0
    low = (data[0].address + base) // PAGE * PAGE
    return low % PAIR if align_up(data[0].end + base, PAGE) - low == PAIR else 0


def _name_of(each: Placed) -> Symbol:
    """An object as crash reports name what is in it."""
    return Symbol(each.first, each.end - each.first, os.path.basename(each.known.path))
