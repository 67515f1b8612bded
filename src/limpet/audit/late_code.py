"""What becomes executable behind a filter: code of the file that nobody can have written, or more.

In a process, shared objects become code as they are loaded.  The filter names each by its first
page and its length, and lets none of those pages be written or replaced.  What of an object is code
say its own headers, which lie in memory as well: constants beside it are none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inside import Inside
from limpet.audit.objects import first_pages
from limpet.audit.seccomp_decode import Allowed, Decoded
from limpet.contract.pages import PAGE, align_up
from limpet.formats import elf
from limpet.formats.bundle.read import BundleFile

_MPROTECT, _MREMAP = NUMBERS["mprotect"], NUMBERS["mremap"]
ANEW = frozenset(
    NUMBERS[name] for name in ("mmap", "pkey_mprotect", "remap_file_pages", "shmat", "personality")
)
"""Calls that can make anything executable, or put other pages anywhere: a personality, all that is
read from then on."""

_WRITE, _EXECUTE = 2, 4


def runs_more(inside: Inside, decoded: Decoded) -> Iterator[Allowed]:
    """What makes other pages executable than those of the file's code."""
    changed = [run for each in decoded.boxes for run in written(each)]
    code = set(_code(inside.bundle)) if loads_code(decoded) else set()
    for each in decoded.boxes:
        if each.number in ANEW or (_executes(each) and not _is_files(each, code, changed)):
            yield each


def loads_code(decoded: Decoded) -> bool:
    """Whether anything becomes executable at all."""
    return any(map(_executes, decoded.boxes))


def _executes(each: Allowed) -> bool:
    return each.number == _MPROTECT and _may_have(each, _EXECUTE)


def _may_have(each: Allowed, bit: int) -> bool:
    """Whether the rights of an mprotect may have ``bit``."""
    low_bits = 7
    return any(
        last - first > low_bits or any(value & bit for value in range(first, last + 1))
        for first, last in each.arguments[2]
    )


def written(each: Allowed) -> Iterator[tuple[int, int]]:
    """Runs [low, high) that become writable, or where other pages come to lie."""
    places: tuple[int, ...] = ()
    if each.number == _MPROTECT and _may_have(each, _WRITE):
        places, length = (0,), 1
    elif each.number == _MREMAP:  # where it is told to, or, if it is not, where they grow
        places, length = (0, 4), 2
    for place in places:
        most = max(last for _, last in each.arguments[length])
        for first, last in each.arguments[place]:
            yield first, last + most + PAGE - 1


def _code(bundle: BundleFile) -> Iterator[tuple[int, int]]:
    """Runs [low, high) of objects' code that nobody can write at the start."""
    for base, page in first_pages(bundle):
        for low, high in _code_of(page, base):
            there = bundle.part_at(low)
            if there and not there.flags & _WRITE and high <= there.address + there.size:
                yield low, high


def _code_of(first: bytes, base: int) -> Iterator[tuple[int, int]]:
    """What the headers in the ``first`` page of an object at ``base`` say is code."""
    with suppress(struct.error):  # not all of them are there
        header = elf.Header.unpack(first)
        for index in range(header.phnum):
            each = elf.ProgramHeader.unpack(first, header.phoff + index * elf.PROGRAM_SIZE)
            if each.kind == elf.PT_LOAD and each.flags & elf.PF_X:
                low = base + each.address // PAGE * PAGE
                yield low, align_up(base + each.address + each.memory_size, PAGE)


def _is_files(each: Allowed, code: set[tuple[int, int]], changed: list[tuple[int, int]]) -> bool:
    """Whether it is an object's code, exactly, and nobody can write it."""
    (low, last), *others = each.arguments[0]
    (size, most), *more = each.arguments[1]
    if others or more or low != last or size != most:
        return False
    there = (low, low + size) in code
    return there and not any(start < low + size and low < end for start, end in changed)
