"""What a process can only read until it is loaded, in few segments: ``execve`` maps each apart.

What is large is a segment of its own, so that its bytes can be those of its file among the packed
ones.  Small objects, and what is written of large ones, are in the file a second time, with zeros
between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from limpet.arch.x86_64.machine import Supervisor
from limpet.contract.pages import PAGE
from limpet.formats.image import Access
from limpet.planning.regions import NOTHING, Region, gaps

LARGE = 1 << 20
"""Bytes that are worth a segment of their own, since they may stand in the file already."""

APART = 32 * PAGE
"""Bytes of zeros that are worth a segment."""

MANY = 800
"""Pieces of memory from which rows are made in each bundle: Linux starts no program with more than
1169."""

Shelf = tuple[Region, ...]
"""Late regions that become one segment."""


def shelves(regions: Iterable[Region]) -> Iterator[Shelf]:
    """Those of ``regions`` that are late, ascending, by the segment that they become.

    Between the late ones of a segment nothing else lies.
    """
    shelf: list[Region] = []
    end, large = 0, False
    for piece in _pieces(sorted(regions, key=lambda each: each.address)):
        late = piece[0].late is not None
        now_large = piece[-1].end - piece[0].address >= LARGE and not _is_written(piece[0])
        apart = not late or large or now_large or piece[0].address - end > APART
        if shelf and apart:
            yield tuple(shelf)
            shelf = []
        if late:
            shelf += piece
            end, large = piece[-1].end, now_large
    if shelf:
        yield tuple(shelf)


def content(shelf: Shelf) -> bytes:
    """The bytes of a segment."""
    found = bytearray()
    for region in shelf:
        found += bytes(region.address - shelf[0].address - len(found))
        found += (region.content or b"").ljust(region.size, b"\0")
    return bytes(found)


def gaps_of_file(
    regions: Sequence[Region], pages: Supervisor | None, rows: Sequence[tuple[int, int]] = ()
) -> Iterator[tuple[int, int]]:
    """As :func:`gaps`, where the file has zeros between late objects of one segment, and in
    ``rows``."""
    late = shelves(regions)
    joined = [replace(shelf[0], size=shelf[-1].end - shelf[0].address) for shelf in late]
    alone = [
        each
        for each in (*(each for each in regions if each.late is None), *joined)
        if not any(low <= each.address < high for low, high in rows)
    ]
    whole = [
        replace(regions[0], address=low, size=high - low, at_start=False) for low, high in rows
    ]
    return gaps([*alone, *whole], pages)


def rows(regions: Iterable[Region], *, machine: bool = False) -> Iterator[tuple[int, int]]:
    """Where a process has what can only be read, of whichever object, and little between: these
    become one segment each, [low, high), where starts are to be short and a file may be large.
    The host of a virtual ``machine`` only reads its code, too."""
    runs = Access.EXECUTE if machine else NOTHING
    low = high = 0
    for each in sorted(regions, key=lambda each: each.address):
        if each.at_start:
            continue
        whole = (each.access | each.host) & ~runs == Access.READ and len(
            each.content or b""
        ) == each.size
        read = each.late is not None or whole
        if read and low < high and each.address - high <= APART:
            high = each.end
            continue
        if low < high:
            yield low, high
        low, high = (each.address, each.end) if read else (0, 0)
    if low < high:
        yield low, high


def _is_written(region: Region) -> bool:
    return Access.WRITE in region.access


def _continues(last: Region, region: Region) -> bool:
    both = last.late is not None and region.late is not None
    return both and last.end == region.address and not (_is_written(last) or _is_written(region))


def _pieces(regions: Sequence[Region]) -> Iterator[list[Region]]:
    """What is a row of the same file, and what a program writes; what is not late by itself."""
    piece: list[Region] = []
    for region in regions:
        if piece and not _continues(piece[-1], region):
            yield piece
            piece = []
        piece.append(region)
    if piece:
        yield piece
