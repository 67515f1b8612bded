"""The functions of a program by their names, which only reports and guesses need."""

from __future__ import annotations

import io
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

HIGHEST_ADDRESS = 1 << 36
"""End of what a program may take."""

MAX_SYMBOLS = 1 << 20


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
        table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return [], []
        if table["sh_size"] > MAX_SYMBOLS * 24:
            return [], [f"{name}: its symbol table is too large and is left out"]
        for symbol in table.iter_symbols():
            if symbol["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC") and symbol["st_value"]:
                address, size = symbol["st_value"], symbol["st_size"]
                if address < HIGHEST_ADDRESS and symbol.name:
                    found.setdefault(address, Symbol(address, size, symbol.name[:200]))
    except Exception:  # whatever a damaged table makes the reader do
        return [], [f"{name}: its symbol table is damaged and is left out"]
    return [found[address] for address in sorted(found)], []
