"""The regions of a Linux program's memory, before it is known what of them is a moment's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from limpet.arch.x86_64.rewrite import Rewriting
from limpet.contract.pages import PAGE, align_up
from limpet.formats.image import Access
from limpet.guests.linux.layout import Layout
from limpet.loading.guest import Guest
from limpet.planning.regions import Region, patched


def packed_tree(place: Layout, guest: Guest) -> Region | None:
    """That of its packed files, where there are some."""
    tree, why = guest.tree, "the packed file tree"
    parts = place.tree, tree.room, Access.READ, tree.content, why
    return Region("tree", *parts) if tree.data else None


def own_regions(
    place: Layout, rewriting: Rewriting, own: bytes, devices: bytes, packed: Region | None
) -> tuple[Region, ...]:
    """All of them, ascending.

    Args:
        own: the library OS's constants that are known without its linker.
        devices: the table of devices.
    """
    read, write, execute = Access.READ, Access.WRITE, Access.EXECUTE
    regions = [patched(region, rewriting.patches) for region in place.image]

    def add(
        name: str, low: int, high: int, access: Access, content: bytes | None, why: str
    ) -> None:
        regions.append(Region(name, low, align_up(high - low, PAGE), access, content, why))

    why = "guest_info, environment and symbols, then the library OS's constants"
    add("constants", place.constants, place.rodata_end, read, own, why)
    why = "the library OS's code, trampolines of the rewritten sites first"
    add("libos_text", place.trampolines, place.state, read | execute, None, why)
    regions[-1] = replace(regions[-1], filled=place.fills_pages)
    why = "boot_info, then the library OS's data and the stack for signals"
    add("libos_data", place.state, place.state_end, read | write, None, why)
    if devices:
        size = align_up(len(devices), PAGE)
        why = "the table of devices, and of what else a start chooses"
        regions.append(Region("devices", place.devices, size, read, devices, why, host=write))
    regions += [packed] if packed else []
    for name, (low, high), why in (
        ("arena", place.arena, "memory for brk, mmap and files in RAM"),
        ("stack", place.stack, "the program's stack, above a hole"),
    ):
        regions.append(Region(name, low, high - low, read | write, b"", why, at_start=True))
    return tuple(sorted(regions, key=lambda each: each.address))


def mapped_at_start(regions: Iterable[Region], words: int) -> str:
    """What of the guest's memory the monitor maps; from ``words`` on only for words of a start."""
    found = [(each.address, each.end) for each in regions if each.at_start]
    always = ((low, min(high, words)) for low, high in found)
    return "".join(
        f"#define {name}() {', '.join(_maps(runs)) or '(void)0'}\n"
        for name, runs in (
            ("MAP_MEMORY", always),
            ("MAP_WORDS", ((max(low, words), high) for low, high in found)),
        )
    )


def _maps(runs: Iterable[tuple[int, int]]) -> Iterator[str]:
    return (f"map_memory({low:#x}UL, {high:#x}UL)" for low, high in runs if low < high)
