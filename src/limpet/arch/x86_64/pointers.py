"""What bytes of a program may be the address of code: in instructions, in data, in jump tables."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from itertools import compress

from limpet.formats.image import Segment

_NEAR = ((rb"[\xe8\xe9]", 1), (rb"\x0f[\x80-\x8f]", 2))
"""What near branches begin with, and how many bytes that is; an offset from their end follows."""

_LONGEST_BRANCH = 6
_OFFSET, _VALUE = struct.Struct("<i"), struct.Struct("<I")


def near(code: Sequence[Segment]) -> dict[int, list[int]]:
    """The sources of near branches by target in code, wherever the bytes of one stand."""
    found: dict[int, list[int]] = {}
    low = min((each.address for each in code), default=0)
    high = max((each.end for each in code), default=0)
    within = offsets(low - high - _LONGEST_BRANCH, high - low)
    unpack = _OFFSET.unpack_from
    for opcode, size in _NEAR:
        pattern = re.compile(b"%s(?=%s)" % (opcode, within), re.DOTALL)
        for segment in code:
            data, start = segment.data, segment.address
            end = start + size + _OFFSET.size
            for match in pattern.finditer(data):
                at = match.start()
                target = end + at + unpack(data, at + size)[0]
                if target in found:
                    found[target].append(start + at)
                elif low <= target < high:
                    found[target] = [start + at]
    for sources in found.values():
        if len(sources) > 1:
            sources.sort()
    return found


def offsets(low: int, high: int) -> bytes:
    """A pattern for the four bytes of offsets from ``low`` to ``high``: few others match it."""
    tops = range(low >> 24, (high >> 24) + 1)
    if len(tops) > 2:
        return b"...."
    ends = (
        b"[%s-%s]%s"
        % tuple(
            re.escape(bytes([each & 0xFF]))
            for each in (max(low >> 16, top << 8), min(high >> 16, (top << 8) + 0xFF), top)
        )
        for top in tops
    )
    return b"..(?:%s)" % b"|".join(ends)


def immediates(code: bytes, low: int, high: int) -> set[int]:
    """Every 4-byte value in the code that could be an absolute address in it."""
    if high >= 1 << 32:
        return set()
    third = {each & 0xFF for each in range(low >> 16, (high >> 16) + 1)}
    fourth = range(low >> 24, (high >> 24) + 1)
    pattern = re.compile(
        b"[%s](?=[%s])" % tuple(re.escape(bytes(each)) for each in (third, fourth))
    )
    places = (match.start() - 2 for match in pattern.finditer(code, 2))
    return {value for at in places if low <= (value := _VALUE.unpack_from(code, at)[0]) < high}


def words(data: bytes, low: int, high: int) -> set[int]:
    """Every aligned 4-byte value in data that could be one."""
    usable = data[: len(data) // 4 * 4]
    likely: Iterable[int] = memoryview(usable).cast("I")
    if high <= 1 << 24:  # most of what is no address is told by its upper half, all at once
        third = range(low >> 16, (high >> 16) + 1)
        upper = _marks(usable[3::4], range(1)) & _marks(usable[2::4], third)
        likely = compress(likely, upper.to_bytes(len(usable) // 4, "little"))
    return {word for word in likely if low <= word < high}


def _marks(data: bytes, values: Collection[int]) -> int:
    """A number that has a byte of 1 where ``data`` has one of ``values``, and else 0."""
    marks = bytes(each in values for each in range(256))
    return int.from_bytes(data.translate(marks), "little")


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
