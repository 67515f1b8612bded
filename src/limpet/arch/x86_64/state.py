"""What registers and memory are known to hold at one place of a program, and what changes it.

Of memory only what was stored at known addresses is known; a store somewhere in a range makes the
whole range unknown.  What instructions do to it is in :mod:`limpet.arch.x86_64.effects`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from limpet.arch.x86_64.decode import Memory, Operand, Register
from limpet.arch.x86_64.values import (
    ANYTHING,
    MOST,
    Span,
    Values,
    added,
    computed,
    cut,
    ends,
    joined,
    just,
    listed,
    mask,
    multiplied,
    narrowed,
    single,
)
from limpet.formats.bundle.read import BundleFile

_MOST_STORED = 512


class Compared(NamedTuple):
    """The flags are those of comparing a register with a constant."""

    register: str
    than: int


class Installed(NamedTuple):
    """The flags are those of testing the result of installing a filter."""

    program: int


@dataclass
class State:
    """Registers by their 64-bit name; what was stored, by address: its size and values.

    ``filters`` are the seccomp programs that may stand; ``result`` is the one whose installation
    left its result in RAX.
    """

    registers: dict[str, Values]
    filters: frozenset[int]
    memory: dict[int, tuple[int, Values]] = field(default_factory=dict)
    flags: Compared | Installed | None = None
    result: int | None = None

    def copy(self) -> State:
        """A state to change."""
        registers, memory = dict(self.registers), dict(self.memory)
        return State(registers, self.filters, memory, self.flags, self.result)

    def join(self, other: State) -> bool:
        """Take in what another way brings; whether that changed anything."""
        changed = _join(self.registers, other.registers)
        for at, (size, mine) in list(self.memory.items()):
            theirs = other.memory.get(at)
            if theirs is None or theirs[0] != size:
                del self.memory[at]
                changed = True
            elif theirs[1] != mine and (both := joined(mine, theirs[1])) != mine:
                self.memory[at] = size, both
                changed = True
        if not other.filters <= self.filters:
            self.filters |= other.filters
            changed = True
        for name in ("flags", "result"):
            if getattr(self, name) not in (None, getattr(other, name)):
                setattr(self, name, None)
                changed = True
        return changed

    def get(self, operand: Operand) -> Values:
        """The values of a register or constant."""
        if isinstance(operand, int):
            return just(operand)
        if isinstance(operand, Memory):
            return Span(0, mask(operand.size)) if 0 < operand.size < 8 else ANYTHING
        if operand.size == 0:
            return Span(0, 0xFF)
        known = self.registers.get(operand.name, ANYTHING)
        return known if operand.size == 8 else cut(known, operand.size)

    def set(self, register: Register, values: Values) -> None:
        """Give a register new values; one or two bytes leave the others as they are."""
        name = register.name
        if register.size < 4:
            values = _partly(self.registers.get(name, ANYTHING), values, register.size)
        if self.flags and isinstance(self.flags, Compared) and self.flags.register == name:
            self.flags = None
        if name == "rax":
            self.result = None
        if values == ANYTHING:
            self.registers.pop(name, None)
        else:
            self.registers[name] = values

    def addresses(self, memory: Memory) -> Values:
        """What a memory operand can name."""
        if memory.base == "?":
            return ANYTHING
        where = just(memory.offset)
        if memory.base:
            where = added(self.registers.get(memory.base, ANYTHING), where)
        if memory.index:
            index = multiplied(self.registers.get(memory.index, ANYTHING), memory.scale)
            where = added(where, index)
        return where

    def store(self, where: Values, size: int, values: Values) -> None:
        """Store where the address is certain; else what may be there is forgotten."""
        low, high = ends(where)
        self.forget(low, high + size)
        if low == high and size in (1, 2, 4, 8) and len(self.memory) < _MOST_STORED:
            self.memory[low] = size, values

    def forget(self, low: int, high: int) -> None:
        """Nothing is known any more of the memory from ``low`` to before ``high``."""
        if high - low <= 16:
            places = [at for at in range(low - 7, high) if at in self.memory]
        else:
            places = [at for at in self.memory if low - 7 <= at < high]
        for at in places:
            if at + self.memory[at][0] > low:
                del self.memory[at]

    def load(self, bundle: BundleFile, where: Values, size: int) -> Values:
        """What is in memory at one of the addresses ``where``."""
        few, anything = listed(where), Span(0, mask(size)) if size < 8 else ANYTHING
        found: set[int] = set()
        for at in few:
            known = self._at(bundle, at, size)
            if isinstance(known, Span) or len(found) > MOST:
                return known if len(few) == 1 else anything
            found |= known
        return frozenset(found) if found else anything

    def _at(self, bundle: BundleFile, at: int, size: int) -> Values:
        stored = self.memory.get(at)
        if stored and stored[0] == size:
            return stored[1]
        word = self.word(bundle, at, size)
        return Span(0, mask(size)) if word is None else just(word)

    def word(self, bundle: BundleFile, address: int, size: int = 8) -> int | None:
        """A number in memory: what was stored, else what the file has where nothing can write."""
        known = [self._byte(address + index) for index in range(size)]
        if any(byte is not None for byte in known):
            whole = [byte for byte in known if byte is not None]
            return int.from_bytes(bytes(whole), "little") if len(whole) == size else None
        part = bundle.part_at(address)
        if part is None or part.flags & 2 or address + size > part.end:
            return None
        return int.from_bytes(bundle.memory(address, size), "little")

    def _byte(self, address: int) -> int | None:
        for start in range(address, address - 8, -1):
            size, values = self.memory.get(start, (0, ANYTHING))
            if start + size > address:
                value = single(values)
                return None if value is None else value >> 8 * (address - start) & 0xFF
        return None

    def narrow(self, condition: str) -> bool:
        """Take a condition on the flags for true; whether that can be."""
        if not isinstance(self.flags, Compared):
            return True
        name, than = self.flags
        kept = narrowed(self.registers.get(name, ANYTHING), condition, than)
        if kept is not None:
            self.registers[name] = kept
        return kept is not None


def _partly(before: Values, values: Values, size: int) -> Values:
    """A register whose lower ``size`` bytes are new; 0 is its second byte."""
    if size:
        low = mask(size)
        exact = computed(lambda old, new: old & ~low | new & low, before, values, 8)
        if not isinstance(exact, Span):
            return exact
    return Span(0, ends(before).high | 0xFFFF)


def _join(mine: dict[str, Values], theirs: dict[str, Values]) -> bool:
    changed = False
    for name, known in list(mine.items()):
        other = theirs.get(name, ANYTHING)
        if other == known or (both := joined(known, other)) == known:
            continue
        changed = True
        if both == ANYTHING:
            del mine[name]
        else:
            mine[name] = both
    return changed
