"""Page tables: what is mapped how, and the tables that say so.

Sources: Intel SDM volume 3 chapter 4.  All addresses are guest-physical, which equal guest-virtual
ones.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

PAGE = 4096
LARGE_PAGE = 2 << 20

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1, 2, 4, 0x20, 0x40, 0x80
MARK = 0x200
"""Of an entry whose rights the guest may have changed; the processor ignores it."""

NO_EXECUTE = 1 << 63

EXECUTE_ONLY_KEY = 1
"""Protection key of code that may be run and not read; PKRU denies access to it."""


@dataclass(frozen=True)
class Mapping:
    """A run of pages with the same rights; ``user`` ones are the guest's.

    ``large`` says that 2 MiB pages may map it; without it, pages can be taken out again.
    ``marked`` says that ring 0 changes their rights for the guest; pages that are not ``present``
    are out of reach until it does.
    """

    address: int
    size: int
    writable: bool
    executable: bool
    user: bool = True
    readable: bool = True
    large: bool = True
    marked: bool = False
    present: bool = True

    @property
    def execute_only(self) -> bool:
        """Whether a protection key forbids to read it; ring 0 knows none."""
        return self.user and not self.readable

    @property
    def bits(self) -> int:
        """Page-table bits; accessed and dirty are preset so that the CPU never writes tables."""
        return (
            ACCESSED
            | DIRTY
            | (PRESENT if self.present else 0)
            | (WRITABLE if self.writable else 0)
            | (USER if self.user else 0)
            | (0 if self.executable else NO_EXECUTE)
            | (EXECUTE_ONLY_KEY << 59 if self.execute_only else 0)
            | (MARK if self.marked else 0)
        )


@dataclass
class Tables:
    """Four-level page tables laid out from ``base`` on, the root first."""

    base: int
    pages: list[list[int]] = field(default_factory=list)

    def new(self) -> int:
        self.pages.append([0] * 512)
        return len(self.pages) - 1

    def descend(self, table: int, index: int) -> int:
        entry = self.pages[table][index]
        assert not entry & LARGE, "a large page is not a table"
        if not entry:
            child = self.new()
            self.pages[table][index] = (self.base + child * PAGE) | PRESENT | WRITABLE | USER
            self.pages[table][index] |= ACCESSED
            return child
        return ((entry & ~0xFFF) - self.base) // PAGE

    def leaf(self, address: int, large: bool) -> tuple[int, int]:
        table = 0
        for shift in (39, 30) if large else (39, 30, 21):
            table = self.descend(table, (address >> shift) & 511)
        return table, (address >> (21 if large else 12)) & 511

    def pack(self) -> bytes:
        """As the processor reads them."""
        return b"".join(struct.pack("<512Q", *page) for page in self.pages)


def page_tables(base: int, mappings: Sequence[Mapping], gigabytes: int = 0) -> bytes:
    """Page tables for ``mappings``, placed at ``base``; 2 MiB pages wherever they may be and fit.

    The page directories of the first ``gigabytes`` GiB follow the two tables above them, in a row.
    """
    tables = Tables(base)
    tables.new()
    for each in range(gigabytes):
        tables.descend(tables.descend(0, 0), each)
    for mapping in mappings:
        address, end = mapping.address, mapping.address + mapping.size
        while address < end:
            fits = address % LARGE_PAGE == 0 and end - address >= LARGE_PAGE
            large = fits and mapping.large
            table, index = tables.leaf(address, large)
            assert tables.pages[table][index] == 0, f"{address:#x} is mapped twice"
            tables.pages[table][index] = address | mapping.bits | (LARGE if large else 0)
            address += LARGE_PAGE if large else PAGE
    return tables.pack()
