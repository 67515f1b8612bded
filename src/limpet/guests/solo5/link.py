"""Linking what stands beside a unikernel: the ring-3 shim of an hvt guest, and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limpet.formats import manifest
from limpet.formats.image import Image
from limpet.guests.solo5 import layout as solo5_layout
from limpet.guests.solo5.layout import Solo5Layout
from limpet.planning.plan import Plan
from limpet.sources import GUEST_INCLUDES, GUEST_ROOT
from limpet.tools import freestanding, toolchain
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry
from limpet.tools.freestanding import Sizes

_FLAGS = ("-O2", *GUEST_INCLUDES)

_SCRIPT = """\
ENTRY(shim_start)
SECTIONS {{
  . = {gates:#x};
  .gates : {{ KEEP(*(.text.gates)) }}
  ASSERT(. <= {text:#x}, "the gates do not fit")
  . = {text:#x};
  .text : {{ KEEP(*(.text.entry)) *(.text .text.* .rodata .rodata.*) }}
  ASSERT(. <= {text_end:#x}, "the shim is larger than it was measured")
  . = {data:#x};
  trap_frame = .;
  . += {trap_frame};
  .bss : {{ *(.data .data.* .bss .bss.* COMMON) }}
  ASSERT(. <= {data_end:#x}, "the shim's data is larger than it was measured")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
  boot_info = {boot:#x};
  manifest = {manifest:#x};
  frames = {frames:#x};
  key_rights = {key_rights:#x};
  guest_entry = {entry:#x};
}}
"""


def link(plan: Plan, folder: Path, cache: Cache) -> tuple[Mapping[str, bytes], Mapping[str, int]]:
    """Link what ``plan`` lays beside its unikernel.

    Returns:
        The contents of the regions that the linker fills, by name, and the symbols.
    """
    place = plan.layout
    assert isinstance(place, Solo5Layout)
    boot = bytes(solo5_layout.MANIFEST_AT) + manifest.pack(plan.image.devices)
    if place.target != "hvt":
        return {"boot": boot}, {}
    linked = _linked(place, folder, cache)
    parts = {"shim": linked.sections[".text"], "boot": boot}
    if place.gathers:
        parts["gates"] = linked.sections[".gates"]
    return parts, linked.symbols


def measure(image: Image, cache: Cache) -> Sizes:
    """What the shim of ``image`` takes at most: all but its table, which the plan has."""
    if image.kind != "hvt":
        return Sizes()
    with _shim(cache) as folder:
        return freestanding.sizes_of(folder.glob("*.o"))


def _shim(cache: Cache) -> Entry:
    """The shim's objects, compiled once for every version of it."""

    def make(folder: Path) -> None:
        freestanding.write_headers(folder)
        for source in (GUEST_ROOT / "hvt").glob("*.[cS]"):
            made = folder / f"{source.stem}.o"
            toolchain.compile_object(source, made, flags=_FLAGS, include=folder)

    return cache.folder(f"shim-{freestanding.guest_digest()}", make)


def _linked(place: Solo5Layout, folder: Path, cache: Cache) -> freestanding.Linked:
    own = [folder / "shim_table.o", *([folder / "gates.o"] if place.gathers else [])]
    for each in own:
        source = each.with_suffix(".c")
        toolchain.compile_object(source, each, flags=_FLAGS, include=folder)
    script, output = folder / "shim.ld", folder / "shim.elf"
    text = _SCRIPT.format(
        text=solo5_layout.SHIM,
        text_end=place.shim_end,
        data=place.shim_data,
        trap_frame=solo5_layout.TRAP_FRAME_SIZE,
        data_end=place.shim_data_end,
        gates=solo5_layout.GATES,
        boot=place.boot_info,
        manifest=place.boot_info + solo5_layout.MANIFEST_AT,
        frames=place.frames,
        key_rights=place.boot_info + solo5_layout.KEY_RIGHTS_AT,
        entry=place.entry,
    )
    script.write_text(text, encoding="utf-8")
    with _shim(cache) as shim:
        toolchain.link([*sorted(shim.glob("*.o")), *own], output, script)
    linked = freestanding.read_linked(output)
    for name in ("shim_start", "shim_trap"):
        linked.expect(name, place.shim_entry(name))
    return linked
