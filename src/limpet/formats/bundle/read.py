"""``BundleFile``: a bundle as read from its bytes, for ``audit``, ``verify`` and ``rebuild``.

The file may be hostile: every offset and size is checked before it is used, nothing is allocated
by a number that the file gives, and memory is read from the segments' bytes as ``execve`` would map
them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from limpet.contract.pages import PAGE
from limpet.errors import BundleError
from limpet.formats import elf
from limpet.formats.bundle.part import Part
from limpet.formats.bundle.record import MAX_RECORD, Record, read_record
from limpet.formats.bundle.write import (
    GUEST_SECTION,
    MAX_SEGMENTS,
    RECORD_SECTION,
    Load,
    arranged,
    pieces,
)
from limpet.formats.contents import in_place, same
from limpet.formats.elf import Header, ProgramHeader, SectionHeader
from limpet.formats.files import MAX_FILE, own_copy, read_file
from limpet.formats.tree.layout import MAX_TREE
from limpet.version import __version__

MAX_SECTIONS, MAX_NAMES = MAX_SEGMENTS + 8, 1 << 18
"""Of those that are not loaded there are few; bytes of the names of all."""

MAX_BUNDLE = MAX_TREE + MAX_FILE
"""Bytes: packed files, and a program besides."""

_HIGHEST = 1 << 47
_COPY = "copy or build it again"
_MAKE = "make one with: limpet build"


@dataclass(frozen=True)
class BundleFile:
    """A bundle's bytes, taken apart."""

    name: str
    data: bytes  # or a view of it
    entry: int
    parts: tuple[Part, ...]
    sections: tuple[tuple[str, int, int], ...]  # not loaded: name, offset, size

    @cached_property
    def monitor(self) -> Part:
        """The segment that holds the entry point."""
        found = self.part_at(self.entry)
        assert found, "checked when it was read"
        return found

    @cached_property
    def record(self) -> Record:
        """What the bundle says of itself.

        Raises:
            BundleError: it is damaged, or of another Limpet.
        """
        return read_record(self.section(RECORD_SECTION) or b"", self.name, __version__)

    @property
    def largest(self) -> int:
        """Bytes that anything inside may have, lest a small file fill the host's memory."""
        return (64 << 20) + 16 * min(len(self.data), MAX_FILE)

    @property
    def packed_guest(self) -> bytes | None:
        """The section that the original guest is made from, see :mod:`packed_guest`."""
        return self.section(GUEST_SECTION)

    def section(self, name: str) -> bytes | None:
        """The bytes of a section that is not loaded."""
        for known, offset, size in self.sections:
            if known == name:
                return bytes(self.data[offset : offset + size])
        return None

    def part_at(self, address: int) -> Part | None:
        """The segment that has ``address``."""
        return next((p for p in self.parts if p.address <= address < p.end), None)

    def filled_to(self, part: Part) -> int:
        """Where what is in the file from ``part`` on ends, which segments of other rights go on
        with that cannot be written either."""
        return self._filled[part.address]

    @cached_property
    def _filled(self) -> dict[int, int]:
        found, after, at = dict[int, int](), 0, 0
        for part in reversed(self.parts):
            end = part.address + part.size
            writes = part.flags & elf.PF_W
            at = at if end == after and not writes else end
            after = 0 if writes else part.address
            found[part.address] = at
        return found

    def memory(self, address: int, size: int) -> bytes:
        """``size`` bytes of memory as ``execve`` maps it; zeros where nothing is."""
        if size > self.largest:
            raise BundleError(f"{self.name}: a structure of {size} bytes", hint="build it again")
        whole = self.view(address, size)
        if whole is not None:
            return bytes(whole)
        out = bytearray(size)
        for part in self.parts:
            low = max(address, part.address)
            high = min(address + size, part.address + part.size)
            if low < high:
                at = part.offset + low - part.address
                out[low - address : high - address] = self.data[at : at + high - low]
        return bytes(out)

    def view(self, address: int, size: int) -> memoryview | None:
        """The same where all of it stands in the file, which may be large and is not copied."""
        part = self.part_at(address)
        if part is None or address + size > part.address + part.size:
            return None
        at = part.offset + address - part.address
        return memoryview(self.data)[at : at + size]

    def piece(self, part: Part) -> memoryview:
        """The bytes of a segment that stand in the file, which may be large."""
        return memoryview(self.data)[part.offset : part.offset + part.size]

    def content(self, part: Part) -> bytes:
        """The same, copied."""
        return bytes(self.piece(part))

    def string(self, address: int) -> str:
        """A C string of at most 255 bytes."""
        raw = self.memory(address, 256).partition(b"\0")[0]
        return raw.decode("utf-8", "backslashreplace")


def read_bundle(path: Path) -> BundleFile:
    """Read the bundle at ``path``.

    Raises:
        ImageError: the file cannot be read.
        BundleError: it is not a bundle.
    """
    return parse(read_file(path, MAX_BUNDLE), str(path))


def read_apart(path: Path, folder: Path) -> BundleFile:
    """As :func:`read_bundle`, of one that may be large: in a copy of its own, in ``folder``.

    What was looked at cannot be changed before it is looked at again, and is not in memory.
    """
    return parse(in_place(own_copy(path, folder, MAX_BUNDLE)), str(path))


def is_bundle(path: Path) -> bool:
    """Whether the file at ``path`` has the record of one; of a large one little is read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        header = Header.unpack(os.pread(handle, elf.HEADER_SIZE, 0))
        count = min(header.shnum, MAX_SECTIONS)
        rows = os.pread(handle, count * elf.SECTION_SIZE, header.shoff)
        names = SectionHeader.unpack(rows, header.shstrndx * elf.SECTION_SIZE)
        table = os.pread(handle, min(names.size, MAX_NAMES), names.offset)
    except (OSError, struct.error, OverflowError):  # a folder, or no ELF file
        return False
    finally:
        os.close(handle)
    return header.ident.startswith(elf.IDENT) and RECORD_SECTION.encode() in table.split(b"\0")


def parse(data: bytes, name: str) -> BundleFile:
    """Take a bundle's bytes apart; ``name`` is what errors call it.

    A bundle has one form: what was taken apart is put together again, and has to be the same bytes.
    So no header says anything to ``execve`` that is not said here.

    Raises:
        BundleError: it is not a bundle, or not in that form.
    """
    found = taken_apart(data, name)
    _check_form(found)
    return found


def taken_apart(data: bytes, name: str) -> BundleFile:
    """As :func:`parse`, where the form is not looked at: of a bundle that is known to be one.

    Raises:
        BundleError: it is not a bundle.
    """
    if len(data) < elf.HEADER_SIZE or data[:7] != elf.IDENT:
        raise BundleError(f"{name}: not a bundle", hint=_MAKE)
    header = Header.unpack(data)
    sizes = header.phentsize, header.shentsize
    if (header.type, header.machine) != (elf.ET_EXEC, elf.EM_X86_64) or sizes != _SIZES:
        raise BundleError(f"{name}: not a bundle of x86-64", hint=_MAKE)
    sections = _sections(data, name, header)
    unloaded = tuple(
        (each, section.offset, section.size)
        for each, section in sections
        if section.kind == elf.SHT_PROGBITS and not section.address
    )
    records = [size for each, _, size in unloaded if each == RECORD_SECTION]
    if not records or records[0] > MAX_RECORD:
        raise BundleError(f"{name}: a program without Limpet's record, not a bundle", hint=_MAKE)
    parts = _parts(name, _segments(data, name, header), sections)
    return BundleFile(name, data, header.entry, parts, unloaded)


_SIZES = elf.PROGRAM_SIZE, elf.SECTION_SIZE


def _segments(data: bytes, name: str, header: Header) -> list[ProgramHeader]:
    count, end = header.phnum, header.phoff + header.phnum * elf.PROGRAM_SIZE
    if count > MAX_SEGMENTS or end > len(data):
        raise BundleError(f"{name}: its header tables are damaged", hint=_COPY)
    rows = range(header.phoff, end, elf.PROGRAM_SIZE)
    return [ProgramHeader.unpack(data, at) for at in rows]


def _sections(data: bytes, name: str, header: Header) -> list[tuple[str, SectionHeader]]:
    count, end = header.shnum, header.shoff + header.shnum * elf.SECTION_SIZE
    if count > MAX_SECTIONS or end > len(data) or header.shstrndx >= count:
        raise BundleError(f"{name}: its header tables are damaged", hint=_COPY)
    rows = [SectionHeader.unpack(data, at) for at in range(header.shoff, end, elf.SECTION_SIZE)]
    names = rows[header.shstrndx]
    table = bytes(data[names.offset : names.offset + min(names.size, MAX_NAMES)])
    found = []
    for each in rows:
        if each.offset + each.size > len(data):
            raise BundleError(f"{name}: its header tables are damaged", hint=_COPY)
        raw = table[each.name : each.name + 1024].partition(b"\0")[0]
        found.append((raw.decode("ascii", "backslashreplace"), each))
    return found


def _parts(
    name: str, segments: list[ProgramHeader], sections: list[tuple[str, SectionHeader]]
) -> tuple[Part, ...]:
    titles = {each.address: title.removeprefix(".") for title, each in sections}
    parts: list[Part] = []
    for each in segments[:-1]:
        part = Part(
            titles.get(each.address, "?"),
            each.address,
            each.offset,
            each.file_size,
            each.memory_size,
            each.flags & 7,
        )
        whole = not (part.address | part.size | part.memory_size | part.offset) % PAGE
        sound = whole and part.size <= part.memory_size and part.end <= _HIGHEST
        if not sound or not part.address or (parts and parts[-1].end > part.address):
            raise BundleError(
                f"{name}: the segment at {part.address:#x} is damaged: segments are whole pages, "
                "ascending and apart",
                hint=_COPY,
            )
        parts.append(part)
    return tuple(parts)


def _check_form(bundle: BundleFile) -> None:
    """Put the bundle together again from what was read of it."""
    name, entry = bundle.name, bundle.entry
    loads = [
        Load(each.name, each.address, each.memory_size, in_place(bundle.piece(each)), each.flags)
        for each in bundle.parts
    ]
    record, guest = bundle.section(RECORD_SECTION) or b"", bundle.packed_guest or b""
    if arranged(loads) != loads or not are(pieces(entry, loads, record, guest), bundle.data):
        raise BundleError(
            f"{name}: its headers are not those that Limpet writes for what is in it", hint=_COPY
        )
    if not any(
        p.address <= entry < p.address + p.size and p.flags & elf.PF_X for p in bundle.parts
    ):
        raise BundleError(f"{name}: its entry point {entry:#x} is not code", hint="build it again")


def are(found: Iterable[bytes], data: bytes) -> bool:
    """Whether ``data`` is ``found``, one behind the other: large, so neither is copied."""
    view, at = memoryview(data), 0
    for each in found:
        if not same(each, view[at : at + len(each)]):
            return False
        at += len(each)
    return at == len(data)
