"""Where much code leads, decoded from its start to its end.

Capstone's own binding makes strings of every instruction, which takes longer than to decode it.
Here only those are looked at that branch, or load an address.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import capstone
from capstone import CS_ARCH_X86, CS_MODE_64, Cs, x86_const

from limpet.arch.x86_64.registers import LEAVES

Decoded = tuple[int, int, str, str]
"""Address, size, mnemonic and operands."""

BRANCHES = ("j", "call", "loop", "xbegin")
"""What the mnemonics of direct branches begin with."""

FROM_HERE = re.compile(r"\[rip(?: ([+-]) (0x[0-9a-f]+|\d+))?\]")
"""An operand that is relative to the instruction behind."""

_decoder = Cs(CS_ARCH_X86, CS_MODE_64)
_library, _Row = capstone._cs, capstone._cs_insn  # its version is pinned
_FEW = 6
_POINTER = ctypes.POINTER(_Row)
_SIZE = ctypes.sizeof(_Row)
_PLACE = struct.Struct("<QH")
_AT, _MNEMONIC, _OPERANDS = _Row.address.offset, _Row.mnemonic.offset, _Row.op_str.offset


class Swept(NamedTuple):
    """What code leads to: direct branches, addresses that LEA loads, and whether it runs on."""

    branches: list[int]
    loaded: list[int]
    runs_on: bool


def sweep(code: bytes, at: int) -> Swept | None:
    """What ``code`` at ``at`` leads to; ``None`` where instructions do not fill it exactly."""
    rows = _rows(code, at)
    if not rows:
        return None
    last, size = _PLACE.unpack_from(rows, len(rows) - _SIZE + _AT)
    if last + size != at + len(code):
        return None
    branch, load = _branches(), x86_const.X86_INS_LEA
    kinds = _kinds_of(rows)
    branches, loaded = [], []
    for row, kind in enumerate(kinds):
        if kind in branch:
            place = row * _SIZE + _OPERANDS
            if rows[place : place + 2] == b"0x":
                branches.append(int(rows[place : rows.index(0, place)], 16))
        elif kind == load and (address := _loaded(rows, row * _SIZE)) is not None:
            loaded.append(address)
    return Swept(branches, loaded, kinds[-1] not in _ends())


def instructions(code: bytes, at: int) -> list[Decoded]:
    """The instructions of ``code`` at ``at``, as far as it can be decoded.

    Only those that branch or that nothing runs on behind have mnemonic and operands.
    """
    rows = _rows(code, at)
    if not rows:
        return []
    told = _branches() | _ends()
    addresses = memoryview(rows).cast("Q")[_AT // 8 :: _SIZE // 8].tolist()
    sizes = memoryview(rows).cast("H")[(_AT + 8) // 2 :: _SIZE // 2].tolist()
    found = [(address, size, "", "") for address, size in zip(addresses, sizes, strict=True)]
    for index, kind in enumerate(_kinds_of(rows)):
        if kind in told:
            row = index * _SIZE
            mnemonic, operands = _text(rows, row + _MNEMONIC), _text(rows, row + _OPERANDS)
            found[index] = (addresses[index], sizes[index], mnemonic, operands)
    return found


def in_full(code: bytes, at: int) -> Decoded:
    """The one instruction that is ``code``, at ``at``."""
    found: Decoded = next(_decoder.disasm_lite(code, at, 1))
    return found


def step_by_step(code: bytes, at: int) -> Iterator[Decoded]:
    """The instructions of ``code`` at ``at``, as far as it can be decoded, a few at a time: for who
    may soon have enough."""
    end = 0
    while end < len(code):
        start = end
        for each in _decoder.disasm_lite(code[start:], at + start, _FEW):
            yield each
            end = each[0] + each[1] - at
        if end == start:
            return


def _rows(code: bytes, at: int) -> bytes:
    """What capstone says of each instruction."""
    found = _POINTER()
    count = _library.cs_disasm(_decoder.csh, code, len(code), at, 0, ctypes.byref(found))
    if not count:
        return b""
    try:
        return ctypes.string_at(found, count * _SIZE)
    finally:
        _library.cs_free(found, count)


def _kinds_of(rows: bytes) -> list[int]:
    """Capstone's number for each instruction."""
    return memoryview(rows).cast("I")[:: _SIZE // 4].tolist()


def _text(rows: bytes, at: int) -> str:
    return rows[at : rows.index(0, at)].decode("ascii")


def _loaded(rows: bytes, row: int) -> int | None:
    text = _text(rows, row + _OPERANDS)
    return named_from_here(text, sum(_PLACE.unpack_from(rows, row + _AT)))


def named_from_here(operands: str, end: int) -> int | None:
    """The address that ``operands`` name relative to the ``end`` of their instruction."""
    match = FROM_HERE.search(operands)
    if not match:
        return None
    offset = int(match[2], 0) if match[2] else 0
    return end + (-offset if match[1] == "-" else offset)


@cache
def _branches() -> frozenset[int]:
    return _kinds(lambda name: name.startswith(BRANCHES))


@cache
def _ends() -> frozenset[int]:
    return _kinds(lambda name: name in (*LEAVES, "call"))


def _kinds(wanted: Callable[[str], bool]) -> frozenset[int]:
    """Capstone's numbers for instructions, by their names."""
    known = range(1, x86_const.X86_INS_ENDING)
    return frozenset(each for each in known if wanted(_decoder.insn_name(each) or ""))
