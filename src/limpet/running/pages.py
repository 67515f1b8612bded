"""Which pages of a process are there, and what is in them, as the kernel shows it: proc(5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO

from limpet.contract.pages import PAGE
from limpet.errors import RunError
from limpet.planning.regions import Region

PRESENT, _SWAPPED, OF_FILE = 1 << 63, 1 << 62, 1 << 61
_PIECE = 1 << 20


def pages(map_: BinaryIO, region: Region, mask: int, values: Collection[int]) -> Iterator[int]:
    """Pages of ``region`` whose entry has one of ``values``, of the bits in ``mask``."""
    for at in range(region.address, region.end, _PIECE):
        end = min(at + _PIECE, region.end)
        entries = memoryview(_told(map_, at // PAGE * 8, (end - at) // PAGE * 8)).cast("Q")
        found = zip(range(at, end, PAGE), entries, strict=True)
        yield from [page for page, entry in found if entry & mask in values]


def _told(file: BinaryIO, at: int, size: int) -> bytes:
    """So many bytes of what the kernel shows of a process, which it need not give at once.

    Raises:
        RunError: there are fewer: the process is gone.
    """
    file.seek(at)
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    if len(data) < size:
        said = "the guest was ended while its memory was looked at"
        raise RunError(said, hint="take it again; dmesg says whether memory was short")
    return data


def present(memory: BinaryIO, map_: BinaryIO, region: Region) -> Iterator[tuple[int, bytes]]:
    """What of ``region`` is there; of what the file has, all."""
    found: Iterable[int] = range(region.address, region.end, PAGE)
    if region.at_start:
        there = PRESENT, _SWAPPED, PRESENT | _SWAPPED
        found = pages(map_, region, PRESENT | _SWAPPED, there)
    for at in found:
        yield at, _told(memory, at, PAGE)
