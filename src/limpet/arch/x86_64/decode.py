"""x86-64 instructions in a form to reason about: one register name each, addresses resolved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import takewhile
from typing import Any

from capstone import CS_ARCH_X86, CS_MODE_64, Cs, CsError
from capstone import x86_const as x86

MASK = (1 << 64) - 1


def _registers() -> dict[str, tuple[str, int]]:
    """Each name's 64-bit register and how many of its bytes it is; 0 for a high byte."""
    names: dict[str, tuple[str, int]] = {}
    for letter in "abcd":
        whole = f"r{letter}x"
        names |= {whole: (whole, 8), f"e{letter}x": (whole, 4), f"{letter}x": (whole, 2)}
        names |= {f"{letter}l": (whole, 1), f"{letter}h": (whole, 0)}
    for stem in ("si", "di", "bp", "sp"):
        whole = f"r{stem}"
        names |= {whole: (whole, 8), f"e{stem}": (whole, 4), stem: (whole, 2)}
        names[f"{stem}l"] = (whole, 1)
    for index in range(8, 16):
        for suffix, size in (("", 8), ("d", 4), ("w", 2), ("b", 1)):
            names[f"r{index}{suffix}"] = (f"r{index}", size)
    return names


_REGISTERS = _registers()


@dataclass(frozen=True)
class Register:
    """A register by its 64-bit name, and how many bytes of it count."""

    name: str
    size: int


@dataclass(frozen=True)
class Memory:
    """A memory operand; relative to the instruction pointer it is an ``offset`` alone."""

    base: str
    index: str
    scale: int
    offset: int
    size: int


Operand = int | Register | Memory


@dataclass(frozen=True)
class Instruction:
    """A decoded instruction; the mnemonic has its prefixes, such as ``rep movsb``."""

    address: int
    size: int
    mnemonic: str
    operands: tuple[Operand, ...]
    writes: frozenset[str]
    conditional: bool
    prefixes: tuple[int, int, int, int]  # repeat or lock, segment, operand and address size

    @property
    def end(self) -> int:
        """First address behind it."""
        return self.address + self.size


LONGEST = 15
"""Bytes of an instruction."""


@lru_cache(maxsize=1 << 14)
def decode(code: bytes, address: int) -> Instruction | None:
    """The instruction at the start of ``code``, ``None`` where there is none."""
    engine = _engine()
    try:
        found = next(engine.disasm(code[:LONGEST], address, 1), None)
        return None if found is None else _instruction(engine, found)
    except CsError:
        return None


@cache
def _engine() -> Any:
    engine = Cs(CS_ARCH_X86, CS_MODE_64)
    engine.detail = True
    return engine


def _instruction(engine: Any, found: Any) -> Instruction:
    mnemonic = found.mnemonic
    after = found.address + found.size
    _, written = found.regs_access()
    names = (_REGISTERS.get(found.reg_name(each), ("", 0))[0] for each in written)
    conditional = x86.X86_GRP_JUMP in found.groups and mnemonic != "jmp"
    operands = tuple(_operand(found, each, after) for each in found.operands)
    writes = frozenset(name for name in names if name)
    _, segment, width, address = found.prefix
    prefixes = _repeat(found.bytes), segment, width, address
    return Instruction(found.address, found.size, mnemonic, operands, writes, conditional, prefixes)


_LEGACY = frozenset(b"\xf0\xf2\xf3\x26\x2e\x36\x3e\x64\x65\x66\x67")
_REPEATS = frozenset(b"\xf0\xf2\xf3")


def _repeat(code: bytes) -> int:
    """The one prefix of its group, -1 for several: capstone leaves out those without a meaning."""
    found = {each for each in takewhile(_LEGACY.__contains__, code) if each in _REPEATS}
    return -1 if len(found) > 1 else next(iter(found), 0)


def _operand(found: Any, each: Any, after: int) -> Operand:
    if each.type == x86.X86_OP_IMM:
        return int(each.imm) & MASK
    if each.type == x86.X86_OP_REG:
        return Register(*_REGISTERS.get(found.reg_name(each.reg), ("", 0)))
    memory = each.mem
    base = found.reg_name(memory.base) if memory.base else ""
    index = found.reg_name(memory.index) if memory.index else ""
    if base == "rip":
        return Memory("", "", 1, (after + memory.disp) & MASK, each.size)
    if memory.segment:
        return Memory("?", "", 1, 0, each.size)
    known = [_REGISTERS.get(name, ("?", 0))[0] if name else "" for name in (base, index)]
    return Memory(known[0], known[1], memory.scale, memory.disp, each.size)
