"""What a virtual machine's page tables say of each region of a Linux program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from limpet import contract
from limpet.arch.x86_64 import machine, paging
from limpet.contract import Hypercall
from limpet.formats.image import Access
from limpet.formats.memory import Memory
from limpet.guests.linux.jit import EXECUTE
from limpet.guests.linux.layout import Layout
from limpet.planning.regions import Region

LINKED = ("libos_text", "libos_data", "constants")
"""Regions that the linker fills; the pages of a rest that it leaves empty are unmapped."""


def _changes(region: Region, place: Layout) -> bool:
    """Whether its pages have the rights that the program gives them."""
    return Access.WRITE in region.access | region.host and place.is_programs(region)


def _is_kept(region: Region, place: Layout) -> bool:
    """Whether it is memory of the moment: the host has that in small pages in any case, and what a
    start puts out of reach there is in no large one, which ring 0 would have to take apart."""
    return not region.at_start and place.arena[0] <= region.address < place.arena[1]


def _cut(region: Region, borders: Sequence[int]) -> Iterator[tuple[int, int]]:
    """``region`` in pieces that end where one of ``borders`` is, which ascend."""
    inside = (at for at in borders if region.address < at < region.end)
    return pairwise((region.address, *inside, region.end))


def _code_as_one(mappings: Iterable[paging.Mapping]) -> Iterator[paging.Mapping]:
    """Pieces that can be run and lie one behind the other: a large page may have both."""
    last: paging.Mapping | None = None
    for each in mappings:
        if last and last.executable and _goes_on(last, each):
            last = replace(last, size=last.size + each.size)
            continue
        if last:
            yield last
        last = each
    if last:
        yield last


def _goes_on(last: paging.Mapping, each: paging.Mapping) -> bool:
    return replace(each, address=last.address, size=last.size) == last and (
        last.address + last.size == each.address
    )


def supervisor(
    place: Layout,
    regions: tuple[Region, ...],
    hypercalls: tuple[Hypercall, ...],
    memory: Memory | None = None,
) -> machine.Supervisor:
    """The supervisor pages of a guest that has ``regions`` and makes ``hypercalls``.

    Args:
        memory: what it had at the moment from which it goes on, and what was out of reach.
    """
    jit = any(call.name == EXECUTE for call in hypercalls)
    arranged = place.arranging(jit=jit) if any(call.ring0 for call in hypercalls) else None
    small = place.arena_top if arranged else place.arena[1]
    hidden = memory.hidden if memory else ()
    borders = sorted({small, *(at for run in hidden for at in run)})
    mappings = [
        paging.Mapping(
            low,
            high - low,
            Access.WRITE in region.access,
            Access.EXECUTE in region.access,
            large=(region.filled or region.name not in LINKED)
            and not small <= low < place.arena[1]
            and not (arranged and _is_kept(region, place)),
            marked=arranged is not None and _changes(region, place),
            present=not any(start <= low < end for start, end in hidden),
        )
        for region in regions
        for low, high in _cut(region, borders)
    ]
    ports = [call.port for call in contract.on_kvm(hypercalls)]
    whole = list(_code_as_one(mappings))
    return machine.supervisor(place.supervisor, whole, ports, arranged=arranged)
