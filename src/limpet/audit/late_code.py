"""What becomes executable behind a filter: code of the file that nobody can have written, or more.

In a process, shared objects become code as they are loaded.  The filter names each by its first
page and its length, and lets none of those pages be written or replaced.
"""

from __future__ import annotations

from collections.abc import Iterator

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.inside import Inside
from limpet.audit.seccomp_decode import Allowed, Decoded
from limpet.contract.pages import PAGE

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
    for each in decoded.boxes:
        if each.number in ANEW or (_executes(each) and not _is_files(inside, each, changed)):
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


def _is_files(inside: Inside, each: Allowed, changed: list[tuple[int, int]]) -> bool:
    """Whether it is one run of a segment that cannot be written, with exactly its length."""
    (low, last), *others = each.arguments[0]
    (size, most), *more = each.arguments[1]
    if others or more or low != last or size != most:
        return False
    part = inside.bundle.part_at(low)
    there = part is not None and not part.flags & 2 and low + size <= part.address + part.size
    return there and not any(start < low + size and low < end for start, end in changed)
