"""Regions: the pieces of a guest's memory, and where the monitor lies beside them.

Guest-virtual, guest-physical and host-virtual addresses are the same number on both backends, so
one map serves the processor, KVM and ``execve``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from limpet.arch.x86_64.machine import Supervisor
from limpet.arch.x86_64.rewrite import Patch
from limpet.contract.pages import PAGE, align_up
from limpet.formats.image import Access, Image, Segment

MONITOR_BASE = 1 << 37
"""Above all guest memory, and yet below the same entry of the host's topmost page table: a place
of its own there would cost each start a page of zeros more, 3 % of its time."""

MONITOR_SIZE = 64 << 10
KVM_RUN_AT = MONITOR_BASE + (1 << 20)
KVM_RUN_SIZE = 3 * PAGE
COUNTS_AT = KVM_RUN_AT + 16 * PAGE
"""Where a monitor counts hypercalls, in bundles that report them: out of its guest's reach."""

GUEST_COUNTS_AT = MONITOR_BASE - PAGE
"""Where the library OS of a process counts them itself."""

BROKER_BASE = MONITOR_BASE + (2 << 20)
"""Where a broker's code is, in bundles that have one, and behind it the memory that it runs in."""

BROKER_SIZE = 32 << 10
BROKER_MEMORY = BROKER_BASE + (1 << 20)
BROKER_END = BROKER_MEMORY + (384 << 10)
PORTER_MEMORY = MONITOR_BASE + (4 << 20)
"""Where a porter remembers who has written to its ports."""

HOST_END = 0x7FFF_FFFF_F000
"""End of a process's addresses with four-level paging (``TASK_SIZE_MAX``)."""


NOTHING = Access(0)


@dataclass(frozen=True)
class Region:
    """A run of whole pages with one set of rights.

    ``content`` is ``None`` where the linker supplies it, and empty for memory that starts as
    zeros.  ``host`` is what the monitor may do with it beyond what the guest may; ``at_start`` says
    that the monitor maps it, without reserving host memory, and the file does not have it;
    ``mapped`` says that the guest's page tables have it; ``late`` is the
    inode of the shared object before whose loading a process can only read it, and ``able`` that of
    one that could have it so; ``filled`` says that the file has what the linker leaves empty as
    well, so that large pages map it.
    """

    name: str
    address: int
    size: int
    access: Access
    content: bytes | None
    why: str
    host: Access = NOTHING
    at_start: bool = False
    mapped: bool = True
    late: int | None = None
    able: int | None = None
    filled: bool = False

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.size


def _pages_of(image: Image) -> dict[int, Access]:
    pages: dict[int, Access] = {}
    for segment in image.segments:
        first = segment.address // PAGE
        last = (segment.address + max(segment.memory_size, 1) - 1) // PAGE
        for page in range(first, last + 1):
            known = pages.get(page)
            pages[page] = segment.access if known is None else known | segment.access
    return pages


def _runs(pages: dict[int, Access]) -> Iterable[tuple[int, int, Access]]:
    start = previous = -1
    for page in sorted(pages):
        if start >= 0 and page == previous + 1 and pages[page] == pages[start]:
            previous = page
            continue
        if start >= 0:
            yield start, previous + 1, pages[start]
        start = previous = page
    if start >= 0:
        yield start, previous + 1, pages[start]


def writable_runs(image: Image) -> tuple[tuple[int, int], ...]:
    """What the program can write of itself, as runs of pages [low, high), ascending."""
    pages = {page: Access.WRITE for page, each in _pages_of(image).items() if Access.WRITE in each}
    return tuple((first * PAGE, end * PAGE) for first, end, _ in _runs(pages))


def image_regions(image: Image) -> tuple[Region, ...]:
    """The program's segments as runs of pages; the linker's file offsets no longer matter."""
    regions, starts = [], [each.address for each in image.segments]
    for index, (first, end, access) in enumerate(_runs(_pages_of(image))):
        low, high = first * PAGE, end * PAGE
        inside = slice(max(0, bisect_right(starts, low) - 1), bisect_left(starts, high))
        stored = _stored(image.segments[inside], low, high)
        if Access.WRITE in access:  # else the kernel has no zeros to supply, see elfwriter
            stored = stored[: align_up(len(stored.rstrip(b"\0")), PAGE)]
        why = "the program's own segment"
        regions.append(Region(f"image{index}", low, high - low, access, stored, why))
    return tuple(regions)


def _stored(segments: Iterable[Segment], low: int, high: int) -> bytes:
    """What ``segments``, which ascend, have from ``low`` to ``high``; large ones are not copied."""
    found, at = list[bytes](), low
    for segment in segments:
        start = max(segment.address, at)
        stop = min(segment.address + len(segment.data), high)
        if start < stop:
            data = segment.data[start - segment.address : stop - segment.address]
            found += (bytes(start - at), data) if at < start else (data,)
            at = stop
    found += (bytes(high - at),) if at < high else ()
    return found[0] if len(found) == 1 else b"".join(found)


def patched(region: Region, patches: Sequence[Patch]) -> Region:
    """``region`` with those of ``patches`` that lie in it."""
    patches = [each for each in patches if region.address <= each.address < region.end]
    if not patches:
        return region
    content = bytearray(region.content or b"")
    for patch in patches:
        at = patch.address - region.address
        content[at : at + len(patch.content)] = patch.content
    return replace(region, content=bytes(content))


def part(region: Region, low: int, high: int) -> Iterator[Region]:
    """``region`` between ``low`` and ``high``, if that is something."""
    if low >= high:
        return
    at = low - region.address
    name = f"{region.name}_{at // PAGE}" if at else region.name
    content = (region.content or b"")[at : high - region.address]
    at_start = region.at_start
    if (
        Access.WRITE not in region.access | region.host
    ):  # neither kernel nor monitor has zeros there
        content, at_start = content.ljust(high - low, b"\0"), False
    yield replace(
        region, name=name, address=low, size=high - low, content=content, at_start=at_start
    )


def gaps(regions: Iterable[Region], pages: Supervisor | None) -> Iterator[tuple[int, int]]:
    """Runs below the monitor where the file has nothing, [low, high), ascending.

    What the monitor maps at start counts as one: it is unmapped before that.
    """
    mapped = [(region.address, region.end) for region in regions if not region.at_start]
    mapped += [(pages.base, pages.base + pages.size)] if pages else []
    at = 0
    for low, high in (*sorted(mapped), (MONITOR_BASE, MONITOR_BASE)):
        if at < low:
            yield at, low
        at = high
