"""Where the functions of a program lie, as its tables for unwinding have it.

Sources: the LSB's "Exception Frames" (``.eh_frame``, ``.eh_frame_hdr``), DWARF 4 section 7.6.
The file is hostile: what is out of bounds, or not as compilers write it, gives no functions.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from limpet.formats.elf import ProgramHeader
from limpet.formats.image import Image

PT_GNU_EH_FRAME = 0x6474E550
MOST = 1 << 18
"""Functions that are looked at."""

_HEAD = bytes((1, 0x1B, 0x03, 0x3B))
"""Version 1; where the frames are, how many, and a table that is relative to this, of 32 bits."""

_RELATIVE = 0x1B
"""DW_EH_PE_pcrel with 32 bits: how a function's start is given."""


class Function(NamedTuple):
    """A run of code; ``handles`` is whether the unwinder may enter it in the middle."""

    start: int
    end: int
    handles: bool


def functions(image: Image, segments: Sequence[ProgramHeader]) -> tuple[Function, ...]:
    """The functions of ``image``, ascending and apart; none where the tables are not usual."""
    found = next((each for each in segments if each.kind == PT_GNU_EH_FRAME), None)
    if found is None:
        return ()
    try:
        made = sorted(_functions(image, found.address))
    except (struct.error, LookupError):
        return ()
    apart = all(one.end <= other.start for one, other in pairwise(made))
    return tuple(made) if apart else ()


def _functions(image: Image, table: int) -> list[Function]:
    head, count = bytes_at(image, table, 4), _number(image, table + 8)
    if head != _HEAD or count > MOST:
        raise LookupError
    found, known = [], dict[int, str]()
    rows = bytes_at(image, table + 12, 8 * count)
    for start, frame in struct.iter_unpack("<ii", rows):
        at = table + frame
        back, offset, size = struct.unpack("<IiI", bytes_at(image, at + 4, 12))
        cie = at + 4 - back
        if cie not in known:
            known[cie] = _kind(bytes_at(image, cie, 32))
        if at + 8 + offset != table + start:
            raise LookupError
        if "S" not in known[cie] and size:  # a frame of a signal starts a byte before its function
            found.append(Function(table + start, table + start + size, "L" in known[cie]))
    return found


def _kind(cie: bytes) -> str:
    """The letters that say what functions have: L for handlers; ``LookupError``: not the usual."""
    letters, zero, rest = cie[9:].partition(b"\0")
    # code and data alignment and the return register are a byte each, and so is what follows
    if not zero or letters not in (b"zR", b"zPLR", b"zRS") or len(rest) < 12:
        raise LookupError
    encoding = rest[4] if letters != b"zPLR" else rest[10]
    if encoding != _RELATIVE:
        raise LookupError
    return letters.decode()


def _number(image: Image, at: int) -> int:
    return int.from_bytes(bytes_at(image, at, 4), "little")


def bytes_at(image: Image, at: int, size: int) -> bytes:
    """What the file has for memory.

    Raises:
        LookupError: it has nothing there.
    """
    for each in image.segments:
        if each.address <= at and at + size <= each.address + len(each.data):
            start = at - each.address
            return each.data[start : start + size]
    raise LookupError
