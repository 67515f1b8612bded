"""The C that is written for one Solo5 bundle, beside what ``generate`` writes for every kind."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from limpet.arch.x86_64.paging import EXECUTE_ONLY_KEY, LARGE_PAGE
from limpet.arch.x86_64.paging import Mapping as PageMapping
from limpet.contract.limits import UNIKERNEL_STATUSES
from limpet.formats.image import read_program
from limpet.guests.solo5 import layout as solo5_layout
from limpet.guests.solo5 import notes
from limpet.planning.monitor import Core, defines, filter_values, monitor_values

if TYPE_CHECKING:
    from limpet.arch.x86_64.machine import Supervisor
    from limpet.contract import Filtered
    from limpet.formats.image import Image
    from limpet.guests.solo5.layout import Solo5Layout
    from limpet.guests.solo5.privileged import Emulated
    from limpet.planning.blobs import Blobs
    from limpet.planning.features import Chosen
    from limpet.planning.options import Options
    from limpet.planning.seccomp import Filter

EMULATED_SIZE = 16
"""Bytes of ``struct emulated``; the shim's table does not compile with another size."""

CORES = {
    "hvt": Core(
        start=("solo5/arguments.c",),
        handlers=("core/guest_range.h", "solo5/frames.h", "solo5/hvt.c"),
        backends={"kvm": ("core/kvm.c",)},
    ),
    "spt": Core(start=("solo5/arguments.c",), backends={"process": ("solo5/spt.c",)}),
}
"""The C of each kind of unikernel's monitor."""


def plan_h(
    image: Image,
    place: Solo5Layout,
    options: Options,
    filters: Mapping[Filtered, Filter],
    blobs: Blobs,
    pages: Supervisor | None,
    chosen: Chosen,
) -> str:
    """``plan.h`` of a Solo5 guest's monitor."""
    values = {
        "BOOT_INFO": place.boot_info,
        "MANIFEST_AT": place.boot_info + solo5_layout.MANIFEST_AT,
        "CMDLINE_AT": place.boot_info + solo5_layout.CMDLINE_AT,
        "KERNEL_END": place.kernel_end,
        "MEMORY_DEFAULT": place.memory,
        "MEMORY_LEAST": place.memory_least,
        "MEMORY_MOST": place.memory_most,
        "KERNEL_SIZE": len(image.data),
        "KERNEL_CRC": zlib.crc32(image.data),
        "NETWORKS": place.networks,
        "LARGE_PAGE": LARGE_PAGE,
    }
    text = defines(values) + monitor_values(options, filters, blobs, UNIKERNEL_STATUSES, chosen)
    return (
        text
        + _tender_h(image, place)
        + (_hvt_h(place, pages, filters["kvm"]) if pages else _spt_h(filters["process"], place))
    )


def _tender_h(image: Image, place: Solo5Layout) -> str:
    """Whose place a bundle can take, in words; none of them is the guest's."""
    found = notes.read(read_program(image.data, image.name).notes(), image.name)
    assert found, "it is a unikernel"
    return (
        f'#define TENDER_NAME "solo5-{place.target}"\n'
        f'#define TENDER_ABI "{found.version}"\n'
        f'#define MEMORY_DEFAULT_TEXT "{place.memory >> 20}"\n'
    )


def _hvt_h(place: Solo5Layout, pages: Supervisor, filter_: Filter) -> str:
    heap = PageMapping(0, 0, writable=True, executable=False, user=pages.user)
    values = {
        "BOOT_END": place.boot_info + solo5_layout.BOOT_SIZE,
        "SHIM_DATA_LO": place.shim_data,
        "SHIM_DATA_HI": place.shim_data_end,
        "FRAMES_AT": place.frames,
        "GATHERS": int(place.gathers),
        "GUEST_LO": place.readable_lo,
        "KEY_RIGHTS": place.boot_info + solo5_layout.KEY_RIGHTS_AT,
        "DENY_EXECUTE_ONLY": 1 << 2 * EXECUTE_ONLY_KEY,
        "BLOCKS_LO": place.writable_lo,
        "SLOT_LO": place.boot_info,
        "PAGE_DIRECTORIES": pages.directories,
        "HEAP_BITS": heap.bits | 0x80,
        "HUGE_LO": (place.kernel_end + LARGE_PAGE - 1) // LARGE_PAGE * LARGE_PAGE,
    }
    closed = "".join(f"{{{low:#x}, {high:#x}}}, " for low, high in place.closed)
    memory = "(((const struct hvt_boot_info *)BOOT_INFO)->mem_size)"
    names = ("GUEST_HI", "BLOCKS_HI", "SLOT_HI")
    text = "".join(f"#define {name} {memory}\n" for name in names)
    text += f"#define CLOSED {{{closed}{{0, 0}}}}\n"
    text += filter_values("kvm", filter_, place.filter_copy("kvm"))
    return defines(values) + text + f"#define HUGE_HI ({memory} - LARGE_PAGE)\n"  # but the stack


def _spt_h(filter_: Filter, place: Solo5Layout) -> str:
    text = filter_values("process", filter_, place.filter_copy("process"))
    return text + defines({"GUEST_START": place.entry, "SHOWN_AT": place.shown})


def shim_table_c(emulated: Sequence[Emulated]) -> str:
    """``shim_table.c``: the places where ring-0 instructions trap into the shim."""
    rows = "".join(
        f"    {{{each.address:#x}, {each.size}, {each.kind}, {each.register}, "
        f"{each.displacement}}},\n"
        for each in emulated
    )
    return f"""\
/* Generated: the ring-0 instructions of this guest that trap into the shim. */
#include "hvt/emulated.h"

_Static_assert(sizeof(struct emulated) == {EMULATED_SIZE}, "the plan counts on it");

const struct emulated emulated[] = {{
{rows}    {{0, 0, 0, 0, 0}},
}};
"""


def shim_table_size(emulated: Sequence[Emulated]) -> int:
    """Bytes that it takes at most, what aligns it included."""
    return EMULATED_SIZE * (len(emulated) + 2)
