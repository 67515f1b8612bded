"""The regions of a guest that goes on from a moment: what it wrote until then is in its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from limpet.formats.image import Access
from limpet.formats.memory import Memory
from limpet.planning.regions import Region

WHY = "the guest's memory when it stopped"


def with_memory(
    regions: Iterable[Region], memory: Memory | None, fresh: tuple[int, int]
) -> tuple[Region, ...]:
    """``regions`` as the guest left them; where there is no ``memory`` they are as they start.

    Args:
        fresh: what the monitor fills at a start, [low, high): it is zero before.
    """
    if memory is None:
        return tuple(regions)
    return tuple(piece for region in regions for piece in _pieces(region, memory, fresh))


def _pieces(region: Region, memory: Memory, fresh: tuple[int, int]) -> Iterator[Region]:
    if Access.WRITE not in region.access or region.late is not None:
        yield region
    elif region.at_start:
        yield from _split(region, memory.part(region.address, region.end))
    else:
        content = bytearray(memory.content(region.address, region.end))
        low, high = (min(max(at - region.address, 0), len(content)) for at in fresh)
        content[low:high] = bytes(high - low)
        yield replace(region, content=bytes(content))


def _split(region: Region, memory: Memory) -> Iterator[Region]:
    """What is not zero is in the file, and the monitor maps what is between."""
    at = region.address
    for index, (address, content) in enumerate(memory.runs):
        if at < address:
            yield replace(region, name=f"{region.name}_zero{index}", address=at, size=address - at)
        yield replace(
            region,
            name=f"{region.name}{index}",
            address=address,
            size=len(content),
            content=content,
            why=WHY,
            at_start=False,
        )
        at = address + len(content)
    if at < region.end:
        yield replace(region, address=at, size=region.end - at)
