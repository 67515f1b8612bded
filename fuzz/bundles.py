"""Bundles and records to start from, one of each kind, and edits of every part of a bundle."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import limpet
from fuzz import HERE, edits, seeds
from limpet.arch.x86_64 import sites
from limpet.audit.inspect import audit_bundle
from limpet.audit.model import Audit
from limpet.contract.pages import PAGE
from limpet.formats.bundle import packed_guest
from limpet.formats.bundle import read as bundle_file
from limpet.formats.bundle.read import BundleFile
from limpet.formats.bundle.write import Load, write
from limpet.formats.tree.layout import Tree
from limpet.guests import registry
from limpet.loading.files import pack
from limpet.loading.guest import Guest

_DEVICES = seeds.devices((b"one", 1), (b"two", 2))
_MOVES = "\x1b[2J\u202e\n"
"""Text that a terminal would obey, wherever a name can have it."""

_LINUX, _SOLO5 = limpet.Options(memory=1 << 20), limpet.Options(memory=4 << 20)


def _made(code: bytes, options: limpet.Options, *notes: bytes, packed: Tree | None = None) -> bytes:
    base = 0x100000 if notes else 0x400000
    image = registry.read_image(seeds.elf(code, *notes, base=base), f"fuzzed{_MOVES}")
    guest = Guest(image, sites.scan(image), packed or Tree())
    return limpet.build(limpet.plan(guest, options)).data


KINDS: dict[str, Callable[[], bytes]] = {
    "process": lambda: _made(seeds.SYSCALLS[2], replace(_LINUX, backends=("process",))),
    "kvm": lambda: _made(seeds.SYSCALLS[2], replace(_LINUX, backends=("kvm",))),
    "hvt": lambda: _made(b"\x90", _SOLO5, seeds.abi(1), _DEVICES),
    "spt": lambda: _made(b"\x90", _SOLO5, seeds.abi(2), _DEVICES),
    "devices": lambda: _made(
        seeds.SYSCALLS[3],
        replace(_LINUX, devices=("block:one", "net:two"), environment=(f"A={_MOVES}", "HOME")),
    ),
    "tree": lambda: _made(
        seeds.SYSCALLS[0],
        replace(_LINUX, backends=("process",), timeout=1000),
        packed=pack(None, {"/a/b": HERE / "__init__.py", f"/a/{_MOVES}": HERE / "read.py"}),
    ),
}
"""Small bundles; they are built when they are needed."""


@cache
def seed(which: int) -> BundleFile:
    """The bundle that inputs with this number start from."""
    name, make = list(KINDS.items())[which]
    return bundle_file.parse(make(), name)


@cache
def audited(which: int) -> Audit:
    """What an audit of the seed finds."""
    return audit_bundle(seed(which))


@cache
def _filters(which: int) -> tuple[tuple[int, int], ...]:
    """Where the seed's filters lie in the file's memory, and how many instructions they have."""
    bundle = seed(which)
    moved = {
        f.template.copy: f.template.address for f in bundle.record.filters.values() if f.template
    }
    found = audited(which).filters
    return tuple((moved.get(each.address, each.address), each.instructions) for each in found)


@cache
def records() -> tuple[bytes, ...]:
    """Records to start from, made without building anything."""
    return tuple(each.pack() for each in seeds.records())


def packed(known: Any) -> bytes:
    """Plain data in the form that a record has."""
    return json.dumps(known, sort_keys=True, separators=(",", ":")).encode()


@dataclass
class Pieces:
    """A bundle to change: what it is written from."""

    which: int
    entry: int
    loads: list[Load]
    record: Any
    guest: bytearray
    section: bytearray
    late: list[tuple[int, int]] = field(default_factory=list)  # bytes of the finished file
    cut: int = 0

    def poke(self, address: int, content: bytes) -> None:
        """Write at an address, where the file has something."""
        for at, load in enumerate(self.loads):
            inside = address - load.address
            if 0 <= inside <= len(load.content) - len(content):
                changed = load.content[:inside] + content + load.content[inside + len(content) :]
                self.loads[at] = replace(load, content=changed)


def _taken_apart(which: int) -> Pieces:
    bundle = seed(which)
    loads = [
        Load(p.name, p.address, p.memory_size, bundle.content(p), p.flags) for p in bundle.parts
    ]
    guest = bytearray(packed_guest.take_out(bundle))
    section = bytearray(bundle.packed_guest or b"")
    return Pieces(which, bundle.entry, loads, json.loads(bundle.record.pack()), guest, section)


def _memory(pieces: Pieces, which: int, place: int, value: int) -> None:
    """Up to four bytes of a segment."""
    load = pieces.loads[which % len(pieces.loads)]
    if load.content:
        size = 1 + (which >> 6)
        used = len(load.content.rstrip(b"\0")) + 16
        pieces.poke(load.address + place % used, value.to_bytes(4, "little")[:size])


def _code(pieces: Pieces, which: int, place: int, value: int) -> None:
    """Up to four bytes of the monitor."""
    monitor = seed(pieces.which).monitor
    used = len(seed(pieces.which).content(monitor).rstrip(b"\0"))
    content = value.to_bytes(4, "little")[: 1 + which % 4]
    pieces.poke(monitor.address + place % used, content)


_CODES = (0x20, 0x15, 0x25, 0x35, 0x06, 0x05, 0x00, 0x07, 0x1C, 0x2D, 0x3D, 0x16, 0x34, 0x60, 0x45)


def _filter(pieces: Pieces, which: int, place: int, value: int) -> None:
    """A field of one instruction of a filter."""
    for address, count in _filters(pieces.which):
        at = address + 8 * (place % count)
        if which % 4 == 0:
            pieces.poke(at, _CODES[value % len(_CODES)].to_bytes(2, "little"))
        elif which % 4 < 3:
            pieces.poke(at + 1 + which % 4, bytes([value & 0xFF]))
        else:
            pieces.poke(at + 4, (edits.number(value) & 0xFFFFFFFF).to_bytes(4, "little"))


@cache
def _entries(which: int) -> tuple[int, ...]:
    """Addresses of words of the processor's own pages that are not zero."""
    bundle = seed(which)
    found: list[int] = []
    for part in bundle.parts:
        if part.name == "supervisor":
            content = bundle.content(part)
            words = range(0, len(content), 8)
            found += [part.address + at for at in words if any(content[at : at + 8])]
    return tuple(found)


def _table(pieces: Pieces, which: int, place: int, value: int) -> None:
    """A word of page tables, descriptors and gates: one bit, or another number."""
    places = _entries(pieces.which)
    if places:
        at = places[place % len(places)]
        word = int.from_bytes(seed(pieces.which).memory(at, 8), "little")
        word = edits.number(value) if which & 1 else word ^ 1 << value % 64
        pieces.poke(at, word.to_bytes(8, "little"))


def _tree(pieces: Pieces, which: int, place: int, value: int) -> None:
    """A byte or word of the packed files' table."""
    tree = seed(pieces.which).record.tree
    if tree:
        content = (edits.number(value) % (1 << 64)).to_bytes(8, "little")
        pieces.poke(tree.address + place % tree.size, content[: 1 + which % 8])


def _guest(pieces: Pieces, which: int, place: int, value: int) -> None:
    """A few bytes of the guest's own file, or its length."""
    if which == 0:
        del pieces.guest[place:]
    elif which == 1:
        pieces.guest += bytes(place)
    else:
        at = place % 0x200 if which & 1 else place % (len(pieces.guest) or 1)
        content = (edits.number(value) % (1 << 64)).to_bytes(8, "little")[: 1 + which % 8]
        pieces.guest[at : at + len(content)] = content


def _section(pieces: Pieces, which: int, place: int, value: int) -> None:
    """A byte of the packed guest, which is no whole stream then."""
    if pieces.section:
        pieces.section[place % len(pieces.section)] = value & 0xFF


def _record(pieces: Pieces, which: int, place: int, value: int) -> None:
    edits.edit_data(pieces.record, which, place, value)


def _load(pieces: Pieces, which: int, place: int, value: int) -> None:
    """A segment elsewhere, larger, with other rights, without end, twice or not at all."""
    at = which % len(pieces.loads)
    load, more = pieces.loads[at], (value % 64 - 16) * PAGE
    changed = (
        replace(load, address=max(0, load.address + more)),
        replace(load, address=edits.number(value) & ~0xFFF),
        replace(load, size=max(0, load.size + more)),
        replace(load, size=edits.number(value) & ~0xFFF),
        replace(load, flags=value % 8),
        replace(load, name=edits.TEXTS[value % 12].replace("\0", "")),
        replace(load, content=load.content + bytes(PAGE * (value % 8))),
        replace(load, content=load.content[: value % 16 * PAGE]),
    )
    if place % 10 < 8:
        pieces.loads[at] = changed[place % 10]
    elif place % 10 == 8:
        pieces.loads.append(replace(load, address=load.address + load.size + more))
    elif len(pieces.loads) > 1:
        del pieces.loads[at]


def _entry(pieces: Pieces, which: int, place: int, value: int) -> None:
    pieces.entry = edits.number(value) if which & 1 else pieces.entry + value % 64 - 16


def _late(pieces: Pieces, which: int, place: int, value: int) -> None:
    """A byte of the file's head (from its start) or its tables (from its end)."""
    pieces.late.append((-1 - place % 0x600 if which & 1 else place % 0x400, value & 0xFF))


def _cut(pieces: Pieces, which: int, place: int, value: int) -> None:
    """The file's end is missing."""
    pieces.cut = place


_KINDS: tuple[Callable[[Pieces, int, int, int], None], ...] = (
    *(_record, _record, _record, _filter, _filter, _code, _code, _memory, _table, _table, _tree),
    *(_guest, _guest, _section, _load, _entry, _late, _cut),
)


def edited(data: bytes) -> bytes:
    """The bundle that an input of the target ``bundle`` stands for."""
    which, last = data[:2].ljust(2, b"\0")
    pieces = _taken_apart(which % len(KINDS))
    for kind, *rest in edits.edits(data):
        if pieces.loads:
            _KINDS[kind % len(_KINDS)](pieces, *rest)
    if last & 1:
        _believable(pieces, guest=bool(last & 2))
    record = packed(pieces.record)
    whole = bytearray(_written(pieces, record))
    for at, byte in pieces.late:
        if -len(whole) <= at < len(whole):
            whole[at] = byte
    return bytes(whole[: len(whole) - pieces.cut])


def _written(pieces: Pieces, record: bytes) -> bytes:
    loads = [
        replace(e, address=e.address % (1 << 64), size=e.size % (1 << 64)) for e in pieces.loads
    ]
    return write(pieces.entry % (1 << 64), loads, record, bytes(pieces.section))


def _believable(pieces: Pieces, *, guest: bool) -> None:
    """Let the record say of the bytes what is so, as an enemy would."""
    known = pieces.record
    loads = {load.address: load for load in pieces.loads}
    for part in _list(known, "parts"):
        load = loads.get(_number(part, "address"))
        if load and isinstance(part, dict):
            digest = hashlib.sha256(load.content).hexdigest()
            part |= {"sha256": digest, "size": load.size, "flags": load.flags}
    tree = known.get("tree") if isinstance(known, dict) else None
    for load in pieces.loads:
        inside = _number(tree, "address") - load.address
        if isinstance(tree, dict) and 0 <= inside < len(load.content):
            content = load.content[inside : inside + min(_number(tree, "size"), 1 << 20)]
            tree["sha256"] = hashlib.sha256(content).hexdigest()
    if guest and isinstance(known, dict) and isinstance(known.get("guest"), dict):
        _pack_guest(pieces, known["guest"])


def _pack_guest(pieces: Pieces, known: dict[str, Any]) -> None:
    """The guest's changed file as a section that unpacks to it."""
    runs = [run for run in _list(known, "runs") if isinstance(run, list) and len(run) == 3]
    if not all(type(each) is int and 0 <= each < 1 << 48 for run in runs for each in run):
        return
    memory = [(load.address, load.content) for load in pieces.loads]
    inside = [(at, size, to) for at, size, to in runs if at + size <= len(pieces.guest)]
    plain = packed_guest._xored(bytes(pieces.guest), inside, memory)
    pieces.section = bytearray(zlib.compress(plain))
    digest = hashlib.sha256(pieces.guest).hexdigest()
    known |= {"size": len(pieces.guest), "sha256": digest, "runs": [list(run) for run in inside]}


def _list(known: Any, name: str) -> list[Any]:
    found = known.get(name) if isinstance(known, dict) else None
    return found if isinstance(found, list) else []


def _number(known: Any, name: str) -> int:
    found = known.get(name) if isinstance(known, dict) else None
    return found if type(found) is int else -1
