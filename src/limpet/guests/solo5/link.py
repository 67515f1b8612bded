"""Linking what stands beside a unikernel: the ring-3 shim of an hvt guest, and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limpet.formats import manifest
from limpet.guests.solo5 import layout as solo5_layout
from limpet.guests.solo5.layout import Solo5Layout
from limpet.planning.plan import Plan
from limpet.sources import GUEST_INCLUDES, GUEST_ROOT
from limpet.tools import freestanding, toolchain
from limpet.tools.cache import Cache

_SCRIPT = """\
ENTRY(shim_start)
SECTIONS {{
  . = {text:#x};
  .text : {{ KEEP(*(.text.entry)) *(.text .text.* .rodata .rodata.*) }}
  ASSERT(. <= {text_end:#x}, "the shim has outgrown its place")
  . = {data:#x};
  trap_frame = .;
  . += 64;
  .bss : {{ *(.data .data.* .bss .bss.* COMMON) }}
  ASSERT(. <= {data_end:#x}, "the shim's data has outgrown its place")
  /DISCARD/ : {{ *(.comment .note.* .eh_frame*) }}
  boot_info = {boot:#x};
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
    linked = _shim(place, folder)
    return {"shim": linked.sections[".text"], "boot": boot}, linked.symbols


def _shim(place: Solo5Layout, folder: Path) -> freestanding.Linked:
    made = []
    for source in sorted((GUEST_ROOT / "hvt").glob("*.[cS]")):
        made.append(folder / f"shim-{source.stem}.o")
        flags = ["-O2", *GUEST_INCLUDES]
        toolchain.compile_object(source, made[-1], flags=flags, include=folder)
    script, output = folder / "shim.ld", folder / "shim.elf"
    text = _SCRIPT.format(
        text=solo5_layout.SHIM,
        text_end=solo5_layout.SHIM + solo5_layout.SHIM_SIZE,
        data=solo5_layout.SHIM_DATA,
        data_end=solo5_layout.SHIM_DATA + solo5_layout.SHIM_DATA_SIZE,
        boot=place.boot_info,
        key_rights=place.boot_info + solo5_layout.KEY_RIGHTS_AT,
        entry=place.entry,
    )
    script.write_text(text, encoding="utf-8")
    toolchain.link(made, output, script)
    linked = freestanding.read_linked(output)
    for name in ("shim_start", "shim_trap"):
        linked.expect(name, place.shim_entry(name))
    return linked
