"""Where a debugger finds the threads of a program: in the structures of the library OS."""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path

from limpet.guests.inside import JUMP_SIZE, SITE_SIZE, Inside, LibraryOS, Window
from limpet.guests.linux import library
from limpet.guests.linux.layout import Layout
from limpet.guests.linux.place import PlacedProgram
from limpet.guests.linux.place import place as place_program
from limpet.planning.plan import Plan
from limpet.tools import freestanding, toolchain
from limpet.tools.cache import Cache

_SYMBOLS = ("current", "threads", "signals_of_all", "signals_deliver", "signal_fault", "resume")
_MEMBERS = (
    *("thread.call", "thread.next", "thread.stack", "thread.id", "thread.ended", "thread.name"),
    *("thread.own.set", "thread.blocked", "fault.signal", "pending.set", "regs.rip"),
)
_SIZES = ("regs",)

_HEAD = """\
/* Generated: where a debugger looks in the structures of the library OS. */
#include "core/thread.h"
"""


def inside(plan: Plan, symbols: Mapping[str, int], cache: Cache) -> Inside:
    """What there is of ``plan``, whose library OS was linked with ``symbols``."""
    place = plan.layout
    assert isinstance(place, Layout)
    program = place_program(plan.guest)
    beside = LibraryOS(
        (place.trampolines, place.text_end),
        place.text,
        tuple(sorted(_windows(plan, program), key=lambda each: each.trampoline)),
        {name: symbols[name] for name in _SYMBOLS if name in symbols},
        _offsets(cache),
    )
    start = None if plan.guest.memory else program.start
    return Inside(place.entry("guest_start"), start, 3, beside)


def _windows(plan: Plan, program: PlacedProgram) -> Iterator[Window]:
    """What the patches of ``plan`` have replaced."""
    sites = sorted(site.address for _, scan in program.parts for site in scan.sites)
    short: dict[int, int] = {}  # where a short jump leads to: its site
    near = []
    for patch in plan.rewriting.patches:
        if patch.content[0] == _NEAR:
            near.append(patch)
        elif patch.content[0] == _SHORT:
            offset = int.from_bytes(patch.content[1:2], "little", signed=True)
            short[patch.address + SITE_SIZE + offset] = patch.address
    for patch in near:
        (offset,) = struct.unpack_from("<i", patch.content, 1)
        to, size = patch.address + JUMP_SIZE + offset, len(patch.content)
        before = _original(program, patch.address, size)
        if patch.address in short:
            site = short[patch.address]
            code = _original(program, site, SITE_SIZE)
            yield Window(site, site, to, code, patch.address, before)
            continue
        index = bisect_left(sites, patch.address)
        if index < len(sites) and sites[index] < patch.address + size:
            yield Window(patch.address, sites[index], to, before)


_NEAR, _SHORT = 0xE9, 0xEB


def _original(program: PlacedProgram, address: int, size: int) -> bytes:
    for each in program.image.segments:
        if each.address <= address < each.end:
            at = address - each.address
            return each.data[at : at + size]
    return b""


def _offsets(cache: Cache) -> Mapping[str, int]:
    """Bytes from the start of a structure to a member of it, and the sizes of structures."""
    values = [
        f"__builtin_offsetof(struct {name}, {member})"
        for name, _, member in (each.partition(".") for each in _MEMBERS)
    ]
    values += [f"sizeof(struct {name})" for name in _SIZES]
    text = f"{_HEAD}const u64 known[] = {{{', '.join(values)}}};\n"

    def make(folder: Path) -> None:
        freestanding.write_headers(folder)
        source = folder / "offsets.c"
        source.write_text(text, encoding="ascii")
        flags = library.FLAGS
        toolchain.compile_object(source, folder / "offsets.o", flags=flags, include=folder)

    key = hashlib.sha256((freestanding.guest_digest() + text).encode()).hexdigest()
    with cache.folder(f"offsets-{key}", make) as folder:
        data = (folder / "offsets.o").read_bytes()
    rows = (row for name, row in freestanding.sections_of(data) if name.startswith(".rodata"))
    tables = b"".join(data[each.offset : each.offset + each.size] for each in rows)
    found = struct.unpack_from(f"<{len(values)}Q", tables)
    return dict(zip((*_MEMBERS, *_SIZES), found, strict=True))
