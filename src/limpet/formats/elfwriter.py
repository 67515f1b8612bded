"""Bundles: one executable ELF file of monitor, guest memory and the plan's record.

The file is its own loader: every region is a ``PT_LOAD`` at the address where the guest will find
it, so ``execve`` maps it, copy-on-write and shared between instances.  Sources: the System V gABI
chapters 4 and 5, and Linux ``fs/binfmt_elf.c`` (``ET_EXEC`` segments are mapped where they say).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

PAGE = 4096
RECORD_SECTION = ".limpet.record"
GUEST_SECTION = ".limpet.guest"

_PT_LOAD, _PT_GNU_STACK = 1, 0x6474E551
_EHDR, _PHDR, _SHDR = 64, 56, 64


@dataclass(frozen=True)
class Load:
    """One segment of the file: ``content`` at ``address``, then zeros up to ``size`` bytes."""

    name: str
    address: int
    size: int
    content: bytes
    flags: int  # PF_X 1, PF_W 2, PF_R 4


def _align(value: int) -> int:
    return -(-value // PAGE) * PAGE


def _whole_pages(load: Load) -> bytes:
    """Its content as whole pages.  Of what is writable the kernel supplies trailing zero pages.

    It would make those of read-only memory writable, so they are in the file.  A partial page
    would make ``execve`` clear the rest of it, hence copy it, in every instance.
    """
    content = load.content
    if load.flags & 2:
        content = content[: _align(len(content.rstrip(b"\0")))]
    return content.ljust(_align(len(content)), b"\0")


def arranged(loads: Sequence[Load]) -> list[Load]:
    """The segments of the file, ascending, whole pages each.

    Neighbours with the same rights become one, since ``execve`` maps every one apart.
    """
    merged: list[Load] = []
    for load in sorted(loads, key=lambda load: load.address):
        content = _whole_pages(load)
        last = merged[-1] if merged else None
        if last and last.address + len(last.content) == load.address and last.flags == load.flags:
            merged[-1] = Load(
                f"{last.name}+{load.name}",
                last.address,
                last.size + load.size,
                last.content + content,
                load.flags,
            )
        else:
            merged.append(Load(load.name, load.address, load.size, content, load.flags))
    return merged


def _header(entry: int, phnum: int, shoff: int, shnum: int) -> bytes:
    ident = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)
    return ident + struct.pack(
        "<HHIQQQIHHHHHH",
        2,
        62,
        1,
        entry,
        _EHDR,
        shoff,
        0,
        _EHDR,
        _PHDR,
        phnum,
        _SHDR,
        shnum,
        shnum - 1,
    )


def _sections(
    loads: Sequence[tuple[Load, int, int]], at: int, unloaded: Sequence[tuple[str, bytes]]
) -> tuple[bytes, int]:
    """Section names and headers, for readers such as ``readelf`` and ``limpet audit``."""
    names = bytearray(b"\0")
    rows = [bytes(_SHDR)]

    def add(name: str, kind: int, flags: int, address: int, offset: int, size: int) -> None:
        rows.append(
            struct.pack("<IIQQQQIIQQ", len(names), kind, flags, address, offset, size, 0, 0, 1, 0)
        )
        names.extend(name.encode() + b"\0")

    for load, offset, size in loads:
        flags = 2 | (1 if load.flags & 2 else 0) | (4 if load.flags & 1 else 0)
        add(f".{load.name}", 1, flags, load.address, offset, size)
    for name, content in unloaded:
        add(name, 1, 0, 0, at, len(content))
        at += len(content)
    add(".shstrtab", 3, 0, 0, at, len(names) + len(".shstrtab") + 1)
    return bytes(names) + b"".join(rows), len(rows)


def write(entry: int, segments: Sequence[Load], record: bytes, guest: bytes = b"") -> bytes:
    """The bytes of a bundle that starts at ``entry``, of segments as :func:`arranged`."""
    phnum = len(segments) + 1
    offset = _align(_EHDR + phnum * _PHDR)
    body, phdrs, placed = bytearray(), bytearray(), []
    for load in segments:
        content = load.content
        phdrs += struct.pack(
            "<IIQQQQQQ",
            _PT_LOAD,
            load.flags,
            offset,
            load.address,
            load.address,
            len(content),
            load.size,
            PAGE,
        )
        placed.append((load, offset, len(content)))
        body += content
        offset += len(content)
    phdrs += struct.pack("<IIQQQQQQ", _PT_GNU_STACK, 6, 0, 0, 0, 0, 0, 16)
    unloaded = [(GUEST_SECTION, guest), (RECORD_SECTION, record)][0 if guest else 1 :]
    tables, shnum = _sections(placed, offset, unloaded)
    shoff = offset + len(guest) + len(record) + len(tables) - shnum * _SHDR
    head = _header(entry, phnum, shoff, shnum) + bytes(phdrs)
    return head.ljust(_align(len(head)), b"\0") + bytes(body) + guest + record + tables
