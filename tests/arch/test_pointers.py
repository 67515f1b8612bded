"""What of a program's bytes may be a branch, beside the plain way to look for it."""

from __future__ import annotations

import random
import re
import struct

import pytest

from limpet.arch.x86_64.pointers import near
from limpet.formats.image import Access, Segment

BRANCH = re.compile(rb"(?=([\xe8\xe9]|\x0f[\x80-\x8f])(....))", re.DOTALL)
SIZES = (64, 0xFFF0, 0x10000, 0x1FFFA, 0x20006, 0x25B000, 0xFFFFFA, 0x1000010)
"""Bytes of code around which the upper bytes of an offset change."""


def plain(code: list[Segment]) -> dict[int, list[int]]:
    """Every branch whose target is between the first and the last byte of code."""
    found: dict[int, list[int]] = {}
    for segment in code:
        for match in BRANCH.finditer(segment.data):
            (offset,) = struct.unpack("<i", match[2])
            source = segment.address + match.start()
            target = source + len(match[1]) + 4 + offset
            if code[0].address <= target < code[-1].end:
                found.setdefault(target, []).append(source)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_near(size: int) -> None:
    """Branches to both ends, and to anywhere, from anywhere, and bytes that are none."""
    chance = random.Random(size)
    data = bytearray(chance.randbytes(min(size, 1 << 14)).ljust(size, b"\x90"))
    for _ in range(300):
        at, opcode = chance.randrange(size - 8), chance.choice((b"\xe8", b"\x0f\x84"))
        target = chance.choice((0, 1, size - 1, size, chance.randrange(size)))
        end = at + len(opcode) + 4
        data[at:end] = opcode + struct.pack("<i", target - end)
    half = size // 2
    code = [
        Segment(0x1000, half, bytes(data[:half]), Access.EXECUTE),
        Segment(0x1000 + half, size - half, bytes(data[half:]), Access.EXECUTE),
    ]
    assert near(code) == plain(code)


def test_nowhere() -> None:
    """A file without code has no branches."""
    assert near([]) == {}
