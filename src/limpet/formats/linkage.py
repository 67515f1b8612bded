"""What a shared object offers by name, what it wants, and which of its code data points to.

Sources: System V gABI chapter 5, "Relocation", "Symbol Table", "Hash Table"; the GNU hash section
(``elf/dl-lookup.c``) and DT_RELR (gABI, "Relative Relocation Table").  The file is hostile: every
table has a bound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from limpet.formats.dynamic import DynamicSection
from limpet.formats.elf import ProgramHeader

DT_HASH, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_JMPREL, DT_PLTRELSZ = 4, 6, 7, 8, 23, 2
DT_INIT, DT_FINI, DT_RELR, DT_RELRSZ, DT_GNU_HASH = 12, 13, 36, 35, 0x6FFFFEF5
_R_64, _R_GLOB_DAT, _R_JUMP_SLOT, _R_RELATIVE, _R_IRELATIVE = 1, 6, 7, 8, 37
_FUNCTIONS = (0, 2, 10)
"""Types of symbols that can be code: none said, STT_FUNC, STT_GNU_IFUNC."""

MOST_SYMBOLS, MOST_RELOCATIONS = 1 << 20, 1 << 22
_RELA = struct.Struct("<QQq")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELR_BITS = 63


@dataclass(frozen=True)
class Linkage:
    """Names and pointers of one file, where its file places it.

    ``exports`` has the places of each name that others can find, ``wanted`` the names that its
    loader looks up for it, ``slots`` where the addresses of those are stored, ``pointed`` the
    addresses that are in its data, or that its loader calls.
    """

    exports: Mapping[str, frozenset[int]] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    slots: Mapping[int, str] = field(default_factory=dict)
    pointed: frozenset[int] = frozenset()


def read_linkage(
    data: bytes, segments: Sequence[ProgramHeader], name: str, *, offers: bool = True
) -> Linkage:
    """The linkage of a file; nothing where it has no dynamic section.

    Args:
        offers: what it exports is of interest.

    Raises:
        ImageError: the dynamic section is damaged; ``name`` is what the error calls the file.
    """
    section = DynamicSection.of(data, segments, name)
    if section is None:
        return Linkage()
    with section.damage(name):
        return _Reader(section).linkage(offers)


class _Reader:
    def __init__(self, section: DynamicSection) -> None:
        self._section = section
        self._data = section.data
        symbols = section.one(DT_SYMTAB)
        self._symbols = section.offset(symbols, "its symbols") if symbols else 0
        self._names: dict[int, str] = {}

    def linkage(self, offers: bool) -> Linkage:
        exports: dict[str, set[int]] = {}
        for index in range(1, self._symbol_count() if offers else 0):
            name, info, _, where, value, _ = self._symbol(index)
            if name and where and info & 15 in _FUNCTIONS:
                exports.setdefault(self._name(name), set()).add(value)
        slots: dict[int, str] = {}
        pointed = {self._section.one(tag) for tag in (DT_INIT, DT_FINI)} | set(self._packed())
        for slot, kind, symbol, addend in self._relocations():
            if kind in (_R_RELATIVE, _R_IRELATIVE):
                pointed.add(addend)
            elif symbol:
                name, _, _, where, value, _ = self._symbol(symbol)
                if where:
                    pointed.add(value + (addend if kind == _R_64 else 0))
                if name:
                    slots[slot] = self._name(name)
        return Linkage(
            {name: frozenset(places) for name, places in exports.items()},
            frozenset(slots.values()),
            slots,
            frozenset(pointed - {0}),
        )

    def _name(self, at: int) -> str:
        if at not in self._names:
            self._names[at] = self._section.text(at)
        return self._names[at]

    def _symbol(self, index: int) -> tuple[int, ...]:
        return _SYMBOL.unpack_from(self._data, self._symbols + index * _SYMBOL.size)

    def _symbol_count(self) -> int:
        """One table of hashes or the other says how many there are."""
        if at := self._section.one(DT_HASH):
            _, chains = struct.unpack_from("<II", self._data, self._section.offset(at, "hashes"))
            return min(int(chains), MOST_SYMBOLS)
        if not (at := self._section.one(DT_GNU_HASH)):
            return 0
        start = self._section.offset(at, "its hashes")
        buckets, first, filters, _ = struct.unpack_from("<IIII", self._data, start)
        table = start + 16 + 8 * filters
        rows = memoryview(self._data)[table : table + 4 * min(buckets, MOST_SYMBOLS)]
        last = max(struct.unpack(f"<{len(rows) // 4}I", rows[: len(rows) // 4 * 4]), default=0)
        while last >= first and last < MOST_SYMBOLS:
            (entry,) = struct.unpack_from("<I", self._data, table + 4 * (buckets + last - first))
            last += 1
            if entry & 1:
                return int(last)
        return int(first)

    def _relocations(self) -> Iterator[tuple[int, int, int, int]]:
        for table, size in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
            count = min(self._section.one(size) // _RELA.size, MOST_RELOCATIONS)
            first = self._section.offset(self._section.one(table), "relocations") if count else 0
            for index in range(count):
                slot, info, addend = _RELA.unpack_from(self._data, first + index * _RELA.size)
                yield slot, info & 0xFFFFFFFF, info >> 32, addend

    def _packed(self) -> Iterator[int]:
        """The words that DT_RELR names."""
        count = min(self._section.one(DT_RELRSZ) // 8, MOST_RELOCATIONS)
        first = self._section.offset(self._section.one(DT_RELR), "relocations") if count else 0
        at = 0
        for (entry,) in struct.iter_unpack("<Q", self._data[first : first + 8 * count]):
            if not entry & 1:
                yield self._word(entry)
                at = entry + 8
                continue
            for bit in range(_RELR_BITS):
                if entry >> bit + 1 & 1:
                    yield self._word(at + 8 * bit)
            at += 8 * _RELR_BITS

    def _word(self, address: int) -> int:
        word: int = struct.unpack_from("<Q", self._data, self._section.offset(address, "a word"))[0]
        return word
