"""The regions of a guest that goes on from a moment: what it wrote until then is in its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from limpet.contract.pages import PAGE
from limpet.formats.image import Access
from limpet.formats.memory import Memory, Run
from limpet.planning.options import Options
from limpet.planning.regions import NOTHING, Region, part

FEW = 16 * PAGE
"""Bytes of zeros that are worth no piece of memory of their own."""

WHY = "the guest's memory when it stopped"

_GOES_BACK = "rewind"


def with_memory(
    regions: Iterable[Region], memory: Memory | None, fresh: tuple[int, int], *, machine: bool
) -> tuple[Region, ...]:
    """``regions`` as the guest left them; where there is no ``memory`` they are as they start.

    Args:
        fresh: what the monitor fills at a start, [low, high): it is zero before.
        machine: whether the rights of pages are those of a virtual machine's tables; the monitor
            can write what is sealed there, since its guest may ask to have that again.
    """
    if memory is None:
        return tuple(regions)
    host = Access.WRITE if machine else NOTHING
    return tuple(
        each
        for region in regions
        for piece in _pieces(region, memory, fresh)
        for each in _with_rights(piece, memory, host)
    )


def _pieces(region: Region, memory: Memory, fresh: tuple[int, int]) -> Iterator[Region]:
    loads = region.late is not None and region.late not in memory.idle
    if Access.WRITE not in region.access or loads:
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
    for index, (address, content) in enumerate(_to_the_end(memory.runs, region.end)):
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


def _to_the_end(runs: Sequence[Run], end: int) -> Iterator[Run]:
    """``runs`` of a region; the last has the zeros behind it, where these are few."""
    *others, (address, content) = runs or [(end, b"")]
    left = end - address - len(content)
    yield from others
    if content:
        yield address, content + bytes(left if left <= FEW else 0)


def _with_rights(region: Region, memory: Memory, host: Access) -> Iterator[Region]:
    """What could only be read at the moment is so from the start, and what is idle."""
    if Access.WRITE in region.access and region.late in memory.idle and host:
        yield replace(region, access=Access.READ, host=host)
        return
    if Access.WRITE not in region.access or region.late is not None:
        yield region
        return
    at = region.address
    for first, end in memory.sealed:
        low, high = max(first, region.address), min(end, region.end)
        if low < high:
            yield from part(region, at, low)
            sealed = replace(region, access=Access.READ, host=host)
            yield from part(sealed, low, high)
            at = high
    yield from part(region, at, region.end)


def sealed_c(memory: Memory | None, *, waits: bool) -> str:
    """Whether a bundle has rights of its moment, and code that ``waits`` until it goes on, for the
    guest: constants, and no memory."""
    sealed, hidden = bool(memory and memory.sealed), bool(memory and memory.hidden)
    found = {"sealed": sealed, "hidden": hidden, "waits": waits}
    return "".join(f"const bool snapshot_{each} = {int(found[each])};\n" for each in found)


def hot_pages(memory: Memory | None) -> str:
    """The runs of pages that a snapshot's monitor copies at once, as ``struct iovec``."""
    hot = memory.hot if memory else ()
    runs = "".join(f"{{{low:#x}UL, {high - low:#x}UL}}, " for low, high in hot)
    return f"#define HOT_PAGES {runs}\n" if runs else ""


def few_words(memory: Memory | None, options: Options, room: tuple[int, int]) -> str:
    """Where words of a start of a process lie that fit into ``room``, [low, high).

    Others have memory for them in the stack, which is mapped where there are such.
    """
    low, high = room if takes_few_words(memory, options) else (0, 0)
    return f"#define FEW_WORDS_AT {low:#x}UL\n#define FEW_WORDS {high - low:#x}UL\n"


def takes_few_words(memory: Memory | None, options: Options) -> bool:
    """Whether few of them have another place than many.

    Not where the bundle has words of its own, which the monitor puts below them, and not in a
    guest that is taken back, whose monitor knows where they are.
    """
    process = options.backends == ("process",)
    return bool(memory and process and not options.words and not options.asks(_GOES_BACK))
