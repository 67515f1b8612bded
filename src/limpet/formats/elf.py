"""The tables of an ELF file, as numbers: what every reader and writer here packs and unpacks.

Nothing is judged: who reads a hostile file checks each number before it is used.  Source: System V
gABI, chapters 4 and 5; ``include/uapi/linux/elf.h``.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

IDENT = b"\x7fELF\x02\x01\x01"
"""64 bits, little-endian, version 1."""

ET_EXEC, ET_DYN = 2, 3
EM_X86_64 = 62
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR, PT_TLS = 1, 2, 3, 4, 6, 7
PT_GNU_STACK = 0x6474E551
PF_X, PF_W, PF_R = 1, 2, 4
SHT_PROGBITS, SHT_STRTAB, SHT_NOBITS = 1, 3, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
HEADER_SIZE, PROGRAM_SIZE, SECTION_SIZE = _HEADER.size, _PROGRAM.size, _SECTION.size


class Header(NamedTuple):
    """The file's header."""

    ident: bytes
    type: int
    machine: int
    entry: int
    phoff: int
    shoff: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """From the first :data:`HEADER_SIZE` bytes of a file.

        Raises:
            struct.error: there are fewer.
        """
        row = _HEADER.unpack_from(data)
        return cls(row[0], row[1], row[2], *row[4:7], *row[9:])

    def pack(self) -> bytes:
        """As it stands in a file."""
        return _HEADER.pack(
            *(self.ident, self.type, self.machine, 1, self.entry, self.phoff, self.shoff, 0),
            *(HEADER_SIZE, self.phentsize, self.phnum, self.shentsize, self.shnum, self.shstrndx),
        )


class ProgramHeader(NamedTuple):
    """A segment."""

    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    alignment: int

    @classmethod
    def unpack(cls, data: bytes, at: int) -> Self:
        """From the :data:`PROGRAM_SIZE` bytes at ``at``.

        Raises:
            struct.error: they are not all there.
        """
        kind, flags, offset, address, _, *rest = _PROGRAM.unpack_from(data, at)
        return cls(kind, flags, offset, address, *rest)

    def pack(self) -> bytes:
        """As it stands in a file; the physical address is the virtual one."""
        return _PROGRAM.pack(*self[:4], *self[3:])


class SectionHeader(NamedTuple):
    """A section; ``name`` is an offset into the table of names."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int

    @classmethod
    def unpack(cls, data: bytes, at: int) -> Self:
        """From the :data:`SECTION_SIZE` bytes at ``at``.

        Raises:
            struct.error: they are not all there.
        """
        return cls(*_SECTION.unpack_from(data, at))

    def pack(self) -> bytes:
        """As it stands in a file."""
        return _SECTION.pack(*self)
