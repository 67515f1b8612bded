"""``Dynamic``: what a program or shared object says to its loader, every field checked.

Sources: System V gABI chapter 5, "Dynamic Linking"; the LSB's "Symbol Versioning"; glibc's
``elf/get-dynamic-info.h``.  The file is hostile: every offset and every chain has a bound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from limpet.errors import ImageError
from limpet.formats import elf
from limpet.formats.elf import ProgramHeader

MOST_ENTRIES, MOST_NEEDED, MOST_VERSIONS = 4096, 4096, 1 << 16
"""Of a dynamic section, of the objects that it names, and of versions."""

MOST_NAME = 4095
"""Bytes of a name."""

DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH = 1, 5, 10, 14, 15
DT_TEXTREL, DT_BIND_NOW, DT_RUNPATH, DT_FLAGS = 22, 24, 29, 30
DT_FLAGS_1, DT_VERDEF, DT_VERDEFNUM = 0x6FFFFFFB, 0x6FFFFFFC, 0x6FFFFFFD
DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
DF_TEXTREL, DF_BIND_NOW = 4, 8
DF_1_NOW, DF_1_NODEFLIB, DF_1_PIE = 1, 0x800, 0x08000000
MOST_TEXT = 16 << 20
"""Bytes of all its names, each counted as often as it is named: one string can be named often."""

_VER_FLG_WEAK = 2
_HINT = "build or install it again"


class Version(NamedTuple):
    """A version of symbols that has to be in the object ``file``, unless it is ``weak``."""

    file: str
    name: str
    weak: bool


@dataclass(frozen=True)
class Dynamic:
    """What the dynamic section of one file says.

    ``search`` are the folders of DT_RUNPATH, or those of DT_RPATH where there is none
    (``inherited``: objects that it loads look there too); ``default`` is whether the usual folders
    are looked through; ``defines`` has the versions of its symbols.  ``spare`` is the address of an
    entry that is free, nothing where there is none or what it calls is looked for at once anyway.
    """

    soname: str
    needed: tuple[str, ...]
    search: tuple[str, ...]
    inherited: bool
    default: bool
    text_relocations: bool
    program: bool
    wants: tuple[Version, ...]
    defines: frozenset[str]
    spare: int | None = None


def read_dynamic(data: bytes, segments: Sequence[ProgramHeader], name: str) -> Dynamic | None:
    """The dynamic section of the file with the bytes ``data``, ``None`` where there is none.

    Args:
        segments: its program headers.
        name: what errors call it.

    Raises:
        ImageError: it is damaged.
    """
    section = DynamicSection.of(data, segments, name)
    if section is None:
        return None
    with section.damage(name):
        return section.dynamic()


class _Damaged(Exception):
    """Why a section cannot be read."""


class DynamicSection:
    """The dynamic section of one file, and what it leads to."""

    def __init__(self, data: bytes, segments: Sequence[ProgramHeader]) -> None:
        self.data = data
        self._loads = [each for each in segments if each.kind == elf.PT_LOAD]
        self._values: dict[int, list[int]] = {}
        self._strings = self._strings_end = 0
        self._spare: int | None = None
        self._text_left = MOST_TEXT

    @classmethod
    def of(cls, data: bytes, segments: Sequence[ProgramHeader], name: str) -> DynamicSection | None:
        """That of the file with the bytes ``data``, ``None`` where there is none.

        Raises:
            ImageError: it is damaged.
        """
        found = next((each for each in segments if each.kind == elf.PT_DYNAMIC), None)
        if found is None:
            return None
        made = cls(data, segments)
        with made.damage(name):
            made._read(found)
        return made

    @staticmethod
    @contextmanager
    def damage(name: str) -> Iterator[None]:
        """Whatever is wrong with the bytes becomes the one error about ``name``."""
        try:
            yield
        except (struct.error, _Damaged) as error:
            raise ImageError(
                f"{name}: its dynamic section is damaged: {error}", hint=_HINT
            ) from None

    def _read(self, found: ProgramHeader) -> None:
        if found.offset + found.file_size > len(self.data):
            raise _Damaged("it lies outside of the file")
        for index in range(found.file_size // 16):
            tag, value = struct.unpack_from("<qQ", self.data, found.offset + 16 * index)
            if not tag:
                self._spare = found.address + 16 * index if self._ends(found, index + 1) else None
                break
            if index == MOST_ENTRIES:
                raise _Damaged(f"it has more than {MOST_ENTRIES} entries")
            self._values.setdefault(tag, []).append(value)
        self._strings, self._strings_end = self._string_table()

    def _ends(self, found: ProgramHeader, index: int) -> bool:
        """Whether an entry is there that ends it."""
        at = found.offset + 16 * index
        return index < found.file_size // 16 and not any(self.data[at : at + 8])

    def _string_table(self) -> tuple[int, int]:
        address, size = self.one(DT_STRTAB), self.one(DT_STRSZ)
        if not size:
            return 0, 0
        at = self.offset(address, "its strings")
        if at + size > len(self.data):
            raise _Damaged("its strings lie outside of the file")
        return at, at + size

    def one(self, tag: int) -> int:
        """The last value of a tag, as loaders take it; 0 where there is none."""
        return self._values.get(tag, [0])[-1]

    def offset(self, address: int, what: str) -> int:
        """Where in the file ``address`` is."""
        for each in self._loads:
            if each.address <= address < each.address + each.file_size:
                return each.offset + address - each.address
        raise _Damaged(f"{what} at {address:#x} are not in its memory")

    def text(self, offset: int) -> str:
        """A string of its table."""
        at = self._strings + offset
        end = self.data.find(b"\0", at, min(self._strings_end, at + MOST_NAME + 1))
        if at >= self._strings_end or end < 0:
            raise _Damaged(f"the string at {offset:#x} has no end")
        self._text_left -= end - at
        if self._text_left < 0:
            raise _Damaged(f"its names are longer than {MOST_TEXT >> 20} MiB together")
        return self.data[at:end].decode(errors="surrogateescape")

    def dynamic(self) -> Dynamic:
        """All of it."""
        needed = [self.text(each) for each in self._values.get(DT_NEEDED, ())]
        if len(needed) > MOST_NEEDED:
            raise _Damaged(f"it needs more than {MOST_NEEDED} objects")
        if not all(needed):
            raise _Damaged("it needs an object without a name")
        runpath = DT_RUNPATH in self._values
        tag = DT_RUNPATH if runpath else DT_RPATH
        search = self.text(self.one(tag)).split(":") if tag in self._values else []
        flags = self.one(DT_FLAGS_1)
        return Dynamic(
            soname=self.text(self.one(DT_SONAME)) if DT_SONAME in self._values else "",
            needed=tuple(dict.fromkeys(needed)),
            search=tuple(search),
            inherited=not runpath,
            default=not flags & DF_1_NODEFLIB,
            text_relocations=DT_TEXTREL in self._values or bool(self.one(DT_FLAGS) & DF_TEXTREL),
            program=bool(flags & DF_1_PIE),
            wants=tuple(self._wants()),
            defines=frozenset(self._defines()),
            spare=None if self._binds() else self._spare,
        )

    def _binds(self) -> bool:
        """Whether what it calls of others is looked for as it is loaded."""
        asks = self.one(DT_FLAGS) & DF_BIND_NOW or self.one(DT_FLAGS_1) & DF_1_NOW
        return bool(asks) or DT_BIND_NOW in self._values

    def _chain(self, first: int, count: int, layout: str, what: str) -> Iterator[tuple[int, ...]]:
        """The entries of a chain: where each is, then its fields; the last is the way on."""
        at = self.offset(first, what) if count else 0
        if count > MOST_VERSIONS:
            raise _Damaged(f"{what} are more than {MOST_VERSIONS}")
        for _ in range(count):
            fields = struct.unpack_from(layout, self.data, at)
            yield (at, *fields)
            if not fields[-1]:
                return
            at += fields[-1]

    def _inner(self, at: int, count: int, layout: str) -> Iterator[tuple[int, ...]]:
        for _ in range(count):
            fields = struct.unpack_from(layout, self.data, at)
            yield fields
            if not fields[-1]:
                return
            at += fields[-1]

    def _wants(self) -> Iterator[Version]:
        first, count, left = self.one(DT_VERNEED), self.one(DT_VERNEEDNUM), MOST_VERSIONS
        # vn_version, vn_cnt, vn_file, vn_aux, vn_next; vna_hash, vna_flags, vna_other, name, next
        for at, _, inner, file, aux, _ in self._chain(first, count, "<HHIII", "the versions"):
            left -= inner
            if left < 0:
                raise _Damaged(f"it wants more than {MOST_VERSIONS} versions")
            for _, flags, _, name, _ in self._inner(at + aux, inner, "<IHHII"):
                weak = bool(flags & _VER_FLG_WEAK)
                yield Version(self.text(file), self.text(name), weak)

    def _defines(self) -> Iterator[str]:
        first, count = self.one(DT_VERDEF), self.one(DT_VERDEFNUM)
        # vd_version, vd_flags, vd_ndx, vd_cnt, vd_hash, vd_aux, vd_next; vda_name, vda_next
        rows = self._chain(first, count, "<HHHHIII", "the versions that it defines")
        for at, _, _, _, inner, _, aux, _ in rows:
            for name, _ in self._inner(at + aux, min(inner, 1), "<II"):
                yield self.text(name)


def missing_versions(wanting: Dynamic, found: Mapping[str, Dynamic]) -> Iterator[Version]:
    """The versions that ``wanting`` has to have and that what was ``found`` does not define.

    An object that defines none at all is taken as it is, as loaders do.
    """
    for each in wanting.wants:
        given = found.get(each.file)
        if given and given.defines and not each.weak and each.name not in given.defines:
            yield each
