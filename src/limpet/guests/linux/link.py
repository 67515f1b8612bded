"""Linking the library OS for one Linux program, with the system calls that it can make."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from limpet.guests.linux import layout
from limpet.guests.linux.layout import Layout
from limpet.guests.linux.parts import guest_sources
from limpet.planning.plan import Plan
from limpet.sources import GUEST_INCLUDES, GUEST_ROOT
from limpet.tools import freestanding, toolchain
from limpet.tools.cache import Cache

_SCRIPT = """\
ENTRY(guest_start)
SECTIONS {{
  . = {text:#x};
  .text : {{ KEEP(*(.text.entry)) *(.text .text.*) }}
  ASSERT(. <= {text_end:#x}, "the library OS's code has outgrown its place")
  . = {data:#x};
  .data : {{ *(.data .data.*) }}
  .bss : {{ *(.bss .bss.[!.]* COMMON) *(.bss..table) *(.bss..large .bss..stack) }}
  ASSERT(. <= {data_end:#x}, "the library OS's data has outgrown its place")
  . = {rodata:#x};
  .rodata : {{ *(.rodata .rodata.*) }}
  ASSERT(. <= {rodata_end:#x}, "the library OS's constants have outgrown their place")
  .got : {{ *(.got .got.*) }}
  ASSERT(SIZEOF(.got) == 0, "the library OS needs no global offset table")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
  {symbols}
}}
"""


@contextmanager
def objects(cache: Cache) -> Iterator[list[Path]]:
    """The library OS's objects, compiled once for every version of it; they stay meanwhile."""
    with cache.folder(f"libos-{freestanding.guest_digest()}", _compile) as folder:
        yield sorted(folder.glob("*.o"))


def _compile(folder: Path) -> None:
    """Compile every file of the library OS into ``folder``."""
    freestanding.write_headers(folder)

    def one(source: Path) -> None:
        name = str(source.relative_to(GUEST_ROOT)).replace("/", "-") + ".o"
        flags = ["-O2", *GUEST_INCLUDES]
        toolchain.compile_object(source, folder / name, flags=flags, include=folder)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, guest_sources()))


def link(plan: Plan, folder: Path, cache: Cache) -> tuple[Mapping[str, bytes], Mapping[str, int]]:
    """Link the library OS of ``plan``.

    Returns:
        The contents of the regions that the linker fills, by name, and the symbols.
    """
    place = plan.layout
    assert isinstance(place, Layout)
    generated = [folder / "dispatch.o", folder / "gates.o"]
    for each in generated:
        flags = ["-O2", *GUEST_INCLUDES]
        toolchain.compile_object(each.with_suffix(".c"), each, flags=flags, include=folder)
    script, output = folder / "guest.ld", folder / "guest.elf"
    script.write_text(_script(place), encoding="utf-8")
    with objects(cache) as known:
        toolchain.link([*generated, *known], output, script)
    linked = freestanding.read_linked(output)
    for name in layout.ENTRY_OFFSETS:
        if not name.startswith("trap_entry"):
            linked.expect(name, place.entry(name))
    trampolines = plan.rewriting.trampolines.ljust(place.text - place.trampolines, b"\xcc")
    own = next(region.content for region in plan.regions if region.name == "constants")
    constants = (own or b"").ljust(place.rodata - place.constants, b"\0")
    contents = {
        "libos_text": trampolines + linked.sections.get(".text", b""),
        "libos_data": bytes(layout.BOOT_SIZE) + linked.sections.get(".data", b""),
        "constants": constants + linked.sections.get(".rodata", b""),
    }
    return contents, linked.symbols


def _script(place: Layout) -> str:
    given = {
        "guest_info": place.constants,
        "boot_info": place.boot_info,
        "trap_frame": place.trap_frame,
    }
    return _SCRIPT.format(
        text=place.text,
        text_end=place.text + layout.LIBOS_TEXT_SIZE,
        data=place.data,
        data_end=place.signal_stack,
        rodata=place.rodata,
        rodata_end=place.rodata + layout.LIBOS_RODATA_SIZE,
        symbols="\n  ".join(f"{name} = {at:#x};" for name, at in given.items()),
    )
