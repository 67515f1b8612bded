"""What of a program's bytes may be a branch or an address, beside the plain way to look for it."""

from __future__ import annotations

import random
import re
import struct
from types import SimpleNamespace
from typing import cast

import pytest

from limpet.arch.x86_64.flow import Code
from limpet.arch.x86_64.pointers import immediates, near, offsets, words
from limpet.formats.image import Access, Image, Segment

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


@pytest.mark.parametrize("low", [-(1 << 25), -(1 << 24), -0x15001, -1, 0, 0xFFFF, 0x20FFFF])
@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000, 0x213456, 1 << 24, 1 << 26])
def test_offsets(low: int, size: int) -> None:
    """Every offset between two is found, and of those apart from them few."""
    high = low + size
    pattern = re.compile(offsets(low, high), re.DOTALL)
    for each in (low, low + 1, low + size // 2, low + 0xFFFF, high - 1, high):
        if low <= each <= high:
            assert pattern.fullmatch(struct.pack("<i", each))
    if (high >> 24) - (low >> 24) < 2:
        for each in (low - 0x10000, high + 0x10000):
            assert not pattern.fullmatch(struct.pack("<i", each))


@pytest.mark.parametrize("low", [0x1000, 0x41F000, 0xFFF000, 0x7FFE_F000])
def test_addresses(low: int) -> None:
    """Addresses in code stand anywhere in code, and in data at every fourth byte."""
    chance, high = random.Random(low), low + 0x12345
    data = bytearray(chance.randbytes(1 << 12))
    for at in (
        0,
        1,
        2,
        3,
        64,
        len(data) - 4,
        *(chance.randrange(len(data) - 4) for _ in range(90)),
    ):
        value = chance.choice((low - 1, low, high - 1, high, chance.randrange(low, high)))
        data[at : at + 4] = struct.pack("<I", value)
    code = bytes(data)
    every = [struct.unpack_from("<I", code, at)[0] for at in range(len(code) - 3)]
    assert immediates(code, low, high) == {each for each in every if low <= each < high}
    assert words(code, low, high) == {each for each in every[::4] if low <= each < high}


@pytest.mark.parametrize("far", [0, 0x8000, 0xFFFFF0, 0x1000010, 1 << 26, -0xFF0, -(1 << 25)])
def test_uses(far: int) -> None:
    """Each place whose four bytes lead to an address is found, the first and the last of the code
    as well, with up to four bytes of the instruction behind them."""
    low, size = 1 << 26, 0x8000
    data = bytearray(random.Random(far).randbytes(size).replace(b"\x05", b"\x06"))
    address = low + far
    places = [0, size - 5, *range(100, 2000, 100)]
    for number, at in enumerate(places):
        behind = (0, 1, 2, 4)[number % 4]
        data[at : at + 5] = b"\x05" + struct.pack("<i", address - behind - (low + at + 5))
    segment = Segment(low, size, bytes(data), Access.EXECUTE)
    image = cast(Image, SimpleNamespace(executable=(segment,)))
    found = Code(image, (), {}, frozenset()).uses(address)
    assert {low + at for at in places} <= set(found)
    assert found == sorted(set(found))
