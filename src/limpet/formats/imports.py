"""Which functions of other objects a file uses, and where its loader writes their addresses.

Sources: System V gABI chapter 5, "Relocation"; x86-64 psABI section 4.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from limpet.formats.dynamic import DynamicSection
from limpet.formats.elf import ProgramHeader

DT_PLTRELSZ, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_JMPREL = 2, 6, 7, 8, 23
_GLOB_DAT, _JUMP_SLOT = 6, 7
MOST = 1 << 20
"""Relocations that are looked at."""

_RELA = struct.Struct("<QQq")
_SYMBOL = struct.Struct("<IBBHQQ")


def read_imports(data: bytes, segments: Sequence[ProgramHeader], name: str) -> Mapping[int, str]:
    """The name of each function or variable of another object, by the address of its slot.

    Raises:
        ImageError: the dynamic section is damaged; ``name`` is what the error calls the file.
    """
    section = DynamicSection.of(data, segments, name)
    if section is None:
        return {}
    with section.damage(name):
        return dict(_imports(section))


def _imports(section: DynamicSection) -> Iterator[tuple[int, str]]:
    symbols = section.one(DT_SYMTAB)
    at = section.offset(symbols, "its symbols") if symbols else 0
    for table, size in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
        count = min(section.one(size) // _RELA.size, MOST)
        first = section.offset(section.one(table), "its relocations") if count else 0
        for index in range(count):
            slot, info, _ = _RELA.unpack_from(section.data, first + index * _RELA.size)
            if info & 0xFFFFFFFF not in (_GLOB_DAT, _JUMP_SLOT):
                continue
            row = _SYMBOL.unpack_from(section.data, at + (info >> 32) * _SYMBOL.size)
            if not row[3]:  # SHN_UNDEF: in another object
                yield slot, section.text(row[0])
