"""What bytes of a program may be the address of code: in instructions, in data, in jump tables."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right

from limpet.formats.image import Segment


def immediates(code: bytes, low: int, high: int) -> set[int]:
    """Every 4-byte value in the code that could be an absolute address in it."""
    if high >= 1 << 32:
        return set()
    tops = b"".join(
        re.escape(bytes([top]))
        for top in sorted({b >> 16 & 0xFF for b in range(low, high, 1 << 15)})
    )
    upper = {value >> 24 for value in (low, high)}
    classes = b"".join(re.escape(bytes([each])) for each in sorted(upper))
    pattern = re.compile(b"(?=(..[" + tops + b"][" + classes + b"]))", re.DOTALL)
    found = {struct.unpack("<I", match[1])[0] for match in pattern.finditer(code)}
    return {value for value in found if low <= value < high}


def words(data: bytes, low: int, high: int) -> set[int]:
    """Every aligned 4-byte value in data that could be one."""
    usable = data[: len(data) // 4 * 4]
    return {word for word in memoryview(usable).cast("I") if low <= word < high}


def tables(segment: Segment, bases: set[int], low: int, high: int) -> set[int]:
    """Targets of jump tables of 32-bit offsets from their own start."""
    end = segment.address + len(segment.data) - 3
    ordered = sorted(base for base in bases if segment.address <= base < end)
    found: set[int] = set()
    for base in ordered:
        at = base
        index = bisect_right(ordered, base)
        stop = ordered[index] if index < len(ordered) else end
        while at < min(end, stop):
            (offset,) = struct.unpack_from("<i", segment.data, at - segment.address)
            if not low <= base + offset < high:
                break
            found.add(base + offset)
            at += 4
    return found
