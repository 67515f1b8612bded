"""A guest's memory and registers, read from outside of its process.

On kvm the addresses of the guest are those of its page tables, which may be its own doing (a Solo5
guest in ring 0): the walk is bounded, and what is not there is left out.
"""

from __future__ import annotations

import os
import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from limpet.contract.limits import PORT_BASE
from limpet.contract.pages import PAGE
from limpet.formats.core import SEGMENTS_MOST, Run, TooLargeError
from limpet.planning.regions import KVM_RUN_AT, MONITOR_BASE

VALID_AT, WANTED = 288, struct.pack("<Q", 3)
"""In struct kvm_run: which registers KVM writes there at each exit: general and special ones."""

SHARED_AT = 304
GENERAL = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags"),
)
"""struct kvm_regs."""
_SEGMENTS = ["cs", "ds", "es", "fs", "gs", "ss"]
_SEGMENT_SIZE, IDT_AT, CR3_AT = 24, 8 * 24 + 16, 8 * 24 + 2 * 16 + 16
SHARED_SIZE = 8 * len(GENERAL) + CR3_AT + 8

_MONITORS = range(MONITOR_BASE, MONITOR_BASE + (16 << 20))
_HOSTS = 1 << 46  # from here on the host's stack and vDSO lie
_LINE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (...). [0-9a-f]+ \S+ (\d+)")
_MAPS_MOST, _PIECE, _TABLES_MOST = 64 << 20, 1 << 20, 1 << 13
_THERE = 3 << 62  # of a page in /proc/PID/pagemap: in memory, or swapped
ADDRESS = 0x000F_FFFF_FFFF_F000


@dataclass(frozen=True)
class Mapping:
    """Memory of a process: its rights (as :class:`Run` has them), and whether a file is behind."""

    low: int
    high: int
    rights: int
    file: bool


def mappings(maps: int) -> list[Mapping]:
    """What ``/proc/PID/maps`` says, but for the monitor's own and what is the host's."""
    os.lseek(maps, 0, os.SEEK_SET)
    text = b""
    while (piece := os.read(maps, _PIECE)) and len(text) < _MAPS_MOST:
        text += piece
    found = []
    for each in _LINE.finditer(text):
        low, high = int(each[1], 16), int(each[2], 16)
        rights = sum(
            value for value, letter in ((4, b"r"), (2, b"w"), (1, b"x")) if letter in each[3]
        )
        if low not in _MONITORS and high <= _HOSTS and rights & 4:
            found.append(Mapping(low, high, rights, each[4] != b"0"))
    return found


def registers_on_kvm(memory: int) -> tuple[dict[str, int], int]:
    """The registers of the virtual processor at its last exit, and where its page tables are."""
    found, special = decoded(os.pread(memory, SHARED_SIZE, KVM_RUN_AT + SHARED_AT))
    (tables,) = struct.unpack_from("<Q", special, CR3_AT)
    return found, tables & ADDRESS


def decoded(data: bytes) -> tuple[dict[str, int], bytes]:
    """The registers in what KVM and a monitor share, and the special ones as they are there."""
    values = struct.unpack_from(f"<{len(GENERAL)}Q", data)
    found, special = dict(zip(GENERAL, values, strict=True)), data[8 * len(GENERAL) :]
    for index, name in enumerate(_SEGMENTS):
        base, _, selector = struct.unpack_from("<QIH", special, index * _SEGMENT_SIZE)
        found[name] = selector
        if name in ("fs", "gs"):
            found[f"{name}_base"] = base
    return found, special


def ended_by_hypercall(memory: int) -> bool:
    """Whether the guest's last exit was the hypercall that ends it."""
    (reason,) = struct.unpack("<I", os.pread(memory, 4, KVM_RUN_AT + 8))
    (port,) = struct.unpack("<H", os.pread(memory, 2, KVM_RUN_AT + 34))
    return bool(reason == _EXIT_IO and port == PORT_BASE)


_EXIT_IO = 2


@dataclass(frozen=True)
class Place:
    """Memory of the guest, and where the process has it."""

    low: int
    high: int
    rights: int
    at: int


def of_process(known: list[Mapping]) -> list[Place]:
    """Of a guest in a process, whose memory is the process's own."""
    return [Place(each.low, each.high, each.rights, each.low) for each in known]


def of_tables(memory: int, tables: int, known: list[Mapping]) -> list[Place]:
    """Of a guest in a virtual machine, by its page tables."""
    within = [(each.low, each.high) for each in known]
    found: list[Place] = []
    for low, size, rights, at in _walk(memory, tables, 4, 0, 7, [_TABLES_MOST]):
        last = found[-1] if found else None
        if not any(one <= at < other for one, other in within):
            continue
        if len(found) > SEGMENTS_MOST:
            raise TooLargeError
        if last and (last.high, last.rights, last.at + last.high - last.low) == (low, rights, at):
            found[-1] = Place(last.low, low + size, rights, last.at)
        else:
            found.append(Place(low, low + size, rights, at))
    return found


def _walk(
    memory: int, table: int, level: int, base: int, above: int, left: list[int]
) -> Iterator[tuple[int, int, int, int]]:
    """Each page below a table: its address, size, rights, and where it is."""
    left[0] -= 1
    if left[0] < 0:
        return
    try:
        data = os.pread(memory, PAGE, table)
    except OSError:
        return
    size = PAGE << 9 * (level - 1)
    for index, entry in enumerate(struct.unpack(f"<{len(data) // 8}Q", data)):
        if not entry & 1:
            continue
        low = base + index * size
        rights = above & (4 | (entry & 2) | (entry >> 63 ^ 1))
        if level == 1 or (level < 4 and entry & 0x80):
            yield low, size, rights, entry & ADDRESS & -size
        else:
            yield from _walk(memory, entry & ADDRESS, level - 1, low, rights, left)


def runs(memory: int, pages: int, known: list[Mapping], places: list[Place]) -> list[Run]:
    """The guest's memory, of which what was never touched is a hole."""
    starts = [each.low for each in known]

    def within(place: Place) -> list[Mapping]:
        first = max(bisect_right(starts, place.at) - 1, 0)
        return known[first : bisect_left(starts, place.at + place.high - place.low)]

    return [
        Run(each.low, each.high, each.rights, _pieces(memory, pages, within(each), each))
        for each in sorted(places, key=lambda each: each.low)
        if each.low < 1 << 47
    ]


def _pieces(
    memory: int, pages: int, known: list[Mapping], place: Place
) -> Iterator[tuple[int, bytes]]:
    end = place.at + place.high - place.low
    for each in known:
        low, high = max(each.low, place.at), min(each.high, end)
        spans = _whole(low, high) if each.file else _touched(pages, low, high)
        for one, other in spans:
            try:
                yield one - place.at, os.pread(memory, other - one, one)
            except OSError:
                continue


def _whole(low: int, high: int) -> Iterator[tuple[int, int]]:
    for at in range(low, high, _PIECE):
        yield at, min(at + _PIECE, high)


def _touched(pages: int, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Those pages that there are, several together."""
    for first in range(low, high, _PIECE * 64):
        last = min(first + _PIECE * 64, high)
        data = os.pread(pages, (last - first) // PAGE * 8, first // PAGE * 8)
        start = None
        for index, entry in enumerate(struct.unpack(f"<{len(data) // 8}Q", data)):
            at = first + index * PAGE
            there = bool(entry & _THERE)
            if start is not None and (not there or at - start >= _PIECE):
                yield start, at
                start = None
            if there and start is None:
                start = at
        if start is not None:
            yield start, first + len(data) // 8 * PAGE  # no more than was told
