"""The functions of a program by their names, which only reports and guesses need.

Source: System V gABI chapter 4, "Sections" and "Symbol Table".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from limpet.formats import elf
from limpet.formats.elf import SectionHeader

HIGHEST_ADDRESS = 1 << 36
"""End of what a program may take."""

MAX_SYMBOLS, MAX_SECTIONS = 1 << 20, 1 << 16
_SYMTAB, _EXECINSTR = 2, 4
_FUNCTIONS = (2, 10)
"""STT_FUNC and STT_GNU_IFUNC."""

_LONGEST = 200
_SYMBOL = struct.Struct("<IBBHQQ")


@dataclass(frozen=True)
class Symbol:
    """A function."""

    address: int
    size: int
    name: str


def read_symbols(data: bytes, name: str) -> tuple[list[Symbol], list[str]]:
    """Functions, sorted by address.  Only crash reports need them: damage is a warning."""
    found: dict[int, Symbol] = {}
    try:
        for symbol in _symbols(data):
            found.setdefault(symbol.address, symbol)
    except OverflowError:
        return [], [f"{name}: its symbol table is too large and is left out"]
    except (struct.error, IndexError, ValueError):
        return [], [f"{name}: its symbol table is damaged and is left out"]
    return [found[address] for address in sorted(found)], []


def _symbols(data: bytes) -> Iterator[Symbol]:
    sections = list(_sections(data))
    for table in sections:
        if table.kind != _SYMTAB:
            continue
        if table.size > MAX_SYMBOLS * _SYMBOL.size:
            raise OverflowError
        rows = _part(data, table)
        names = _part(data, sections[table.link])
        for at, info, _, _, address, size in _SYMBOL.iter_unpack(rows):
            if info & 15 in _FUNCTIONS and 0 < address < HIGHEST_ADDRESS:
                text = names[at : names.index(b"\0", at)].decode("utf-8", "replace")
                if text:
                    yield Symbol(address, size, text[:_LONGEST])


def code_sections(data: bytes) -> list[range]:
    """Addresses that a program's sections call code; none where it has no sound table of them."""
    try:
        sections = list(_sections(data))
    except (struct.error, IndexError, ValueError):
        return []
    return [
        range(each.address, each.address + each.size)
        for each in sections
        if each.flags & _EXECINSTR
    ]


def _part(data: bytes, section: SectionHeader) -> bytes:
    if section.offset + section.size > len(data):
        raise ValueError
    return data[section.offset : section.offset + section.size]


def _sections(data: bytes) -> Iterator[SectionHeader]:
    header = elf.Header.unpack(data)
    if not header.shoff or header.shentsize != elf.SECTION_SIZE:
        return
    for index in range(min(header.shnum, MAX_SECTIONS)):
        yield SectionHeader.unpack(data, header.shoff + index * elf.SECTION_SIZE)
