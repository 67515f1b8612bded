"""``BundleFile``: a bundle as read from its bytes, for ``audit``, ``verify`` and ``rebuild``.

The file may be hostile: every offset and size is checked before it is used, nothing is allocated
by a number that the file gives, and memory is read from the segments' bytes as ``execve`` would map
them.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limpet.errors import BundleError
from limpet.formats.elfwriter import GUEST_SECTION, RECORD_SECTION
from limpet.formats.image import read_file

MAX_SEGMENTS, MAX_SECTIONS = 64, 128
MAX_RECORD = 8 << 20
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_PT_LOAD, _PT_GNU_STACK = 1, 0x6474E551
_READ, _WRITE, _EXECUTE = 4, 2, 1


@dataclass(frozen=True)
class Part:
    """A loaded segment of the file, by the name of its section."""

    name: str
    address: int
    offset: int
    size: int  # bytes in the file
    memory_size: int
    flags: int

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.memory_size

    @property
    def rights(self) -> str:
        """Such as ``r-x``."""
        return "".join(c if self.flags & bit else "-" for c, bit in (("r", 4), ("w", 2), ("x", 1)))


@dataclass(frozen=True)
class BundleFile:
    """A bundle's bytes, taken apart."""

    name: str
    data: bytes
    entry: int
    parts: tuple[Part, ...]
    sections: tuple[tuple[str, int, int], ...]  # not loaded: name, offset, size
    stack_executable: bool

    @cached_property
    def monitor(self) -> Part:
        """The segment that holds the entry point."""
        found = self.part_at(self.entry)
        assert found, "checked when it was read"
        return found

    @cached_property
    def record(self) -> dict[str, Any]:
        """What the bundle says of itself.

        Raises:
            BundleError: there is no record, or it is not a JSON object.
        """
        text = self.section(RECORD_SECTION)
        if text is None or len(text) > MAX_RECORD:
            raise BundleError(
                f"{self.name}: a program without Limpet's record, not a bundle",
                hint="make one with: limpet build",
            )
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f"{self.name}: its record is damaged", hint="copy or build it again"
            ) from error
        if not isinstance(found, dict):
            raise BundleError(f"{self.name}: its record is damaged", hint="build it again")
        return found

    @property
    def largest(self) -> int:
        """Bytes that anything inside may have, lest a small file fill the host's memory."""
        return (64 << 20) + 16 * len(self.data)

    @property
    def packed_guest(self) -> bytes | None:
        """The section that the original guest is made from, see ``packed_guest``."""
        return self.section(GUEST_SECTION)

    def section(self, name: str) -> bytes | None:
        """The bytes of a section that is not loaded."""
        for known, offset, size in self.sections:
            if known == name:
                return self.data[offset : offset + size]
        return None

    def part_at(self, address: int) -> Part | None:
        """The segment that has ``address``."""
        return next((p for p in self.parts if p.address <= address < p.end), None)

    def memory(self, address: int, size: int) -> bytes:
        """``size`` bytes of memory as ``execve`` maps it; zeros where nothing is."""
        if size > self.largest:
            raise BundleError(f"{self.name}: a structure of {size} bytes", hint="build it again")
        out = bytearray(size)
        for part in self.parts:
            low = max(address, part.address)
            high = min(address + size, part.address + part.size)
            if low < high:
                at = part.offset + low - part.address
                out[low - address : high - address] = self.data[at : at + high - low]
        return bytes(out)

    def content(self, part: Part) -> bytes:
        """The bytes of a segment that stand in the file."""
        return self.data[part.offset : part.offset + part.size]

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
    return parse(read_file(path), str(path))


def parse(data: bytes, name: str) -> BundleFile:
    """Take a bundle's bytes apart; ``name`` is what errors call it.

    Raises:
        BundleError: it is not a bundle.
    """
    if len(data) < _HEADER.size or data[:7] != b"\x7fELF\x02\x01\x01":
        raise BundleError(f"{name}: not a bundle", hint="make one with: limpet build")
    fields = _HEADER.unpack_from(data)
    kind, machine, entry, phoff, shoff = fields[1], fields[2], fields[4], fields[5], fields[6]
    phent, phnum, shent, shnum, shstrndx = fields[9:14]
    if (kind, machine, phent, shent) != (2, 62, _SEGMENT.size, _SECTION.size):
        raise BundleError(f"{name}: not a bundle of x86-64", hint="make one with: limpet build")
    segments = _table(data, name, _SEGMENT, phoff, phnum, MAX_SEGMENTS)
    headers = _table(data, name, _SECTION, shoff, shnum, MAX_SECTIONS)
    names = _section_names(data, headers, shstrndx)
    parts = _parts(data, name, segments, headers, names)
    if not any(p.address <= entry < p.address + p.size and p.flags & _EXECUTE for p in parts):
        raise BundleError(f"{name}: its entry point {entry:#x} is not code", hint="build it again")
    unloaded = tuple(
        (names[index], row[4], row[5])
        for index, row in enumerate(headers)
        if row[1] == 1 and not row[3] and row[4] + row[5] <= len(data)
    )
    stacks = [row[1] for row in segments if row[0] == _PT_GNU_STACK]
    return BundleFile(name, data, entry, parts, unloaded, not stacks or bool(stacks[0] & _EXECUTE))


def _table(
    data: bytes, name: str, row: struct.Struct, offset: int, count: int, most: int
) -> list[tuple[int, ...]]:
    if count > most or offset + count * row.size > len(data):
        raise BundleError(f"{name}: its header tables are damaged", hint="copy or build it again")
    return [row.unpack_from(data, offset + index * row.size) for index in range(count)]


def _section_names(data: bytes, headers: list[tuple[int, ...]], strings: int) -> list[str]:
    if strings >= len(headers):
        return ["?"] * len(headers)
    base, size = headers[strings][4], min(headers[strings][5], 1 << 16)
    table = data[base : base + size]
    raw = [table[row[0] :][:256].partition(b"\0")[0] for row in headers]
    return [each.decode("ascii", "backslashreplace") for each in raw]


def _parts(
    data: bytes,
    name: str,
    segments: list[tuple[int, ...]],
    headers: list[tuple[int, ...]],
    names: list[str],
) -> tuple[Part, ...]:
    titles = {row[3]: title.lstrip(".") for row, title in zip(headers, names, strict=True)}
    parts: list[Part] = []
    for kind, flags, offset, address, _, size, memory_size, _ in segments:
        if kind != _PT_LOAD:
            continue
        part = Part(titles.get(address, "?"), address, offset, size, memory_size, flags & 7)
        bad = size > memory_size or offset + size > len(data) or part.end > 1 << 47
        if bad or (parts and parts[-1].end > address):
            raise BundleError(
                f"{name}: the segment at {address:#x} is damaged", hint="copy or build it again"
            )
        parts.append(part)
    return tuple(parts)
