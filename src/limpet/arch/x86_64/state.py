"""What registers and memory are known to hold at one place of a program, and what changes it.

A register holds one of a small set of values or is unknown; of memory only bytes that were stored
at known addresses are known.  An instruction that is not understood makes what it writes unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limpet.arch.x86_64.decode import MASK, Instruction, Memory, Operand, Register
from limpet.formats.bundle_file import BundleFile

Values = frozenset[int]
UNKNOWN: Values = frozenset()

_MOST_VALUES, _MOST_STORED = 8, 1024


@dataclass
class State:
    """Registers by their 64-bit name, stored bytes by address.

    ``filters`` are the seccomp programs that may stand, ``within`` the functions that this may be.
    """

    registers: dict[str, Values]
    memory: dict[int, int]
    filters: Values
    within: Values

    def copy(self) -> State:
        """A state to change."""
        return State(dict(self.registers), dict(self.memory), self.filters, self.within)

    def join(self, other: State) -> bool:
        """Take in what another way brings; whether that changed anything."""
        changed = False
        for name, mine in list(self.registers.items()):
            theirs = other.registers.get(name, UNKNOWN)
            both = mine | theirs
            if theirs <= mine and theirs:
                continue
            changed = True
            if not theirs or len(both) > _MOST_VALUES:
                del self.registers[name]
            else:
                self.registers[name] = both
        for at in [at for at, byte in self.memory.items() if other.memory.get(at) != byte]:
            del self.memory[at]
            changed = True
        if not (other.filters <= self.filters and other.within <= self.within):
            self.filters |= other.filters
            self.within |= other.within
            changed = True
        return changed

    def get(self, operand: Operand) -> Values:
        """The values of a register or constant."""
        if isinstance(operand, int):
            return frozenset({operand})
        if isinstance(operand, Memory) or operand.size < 4:
            return UNKNOWN
        mask = (1 << 8 * operand.size) - 1
        return frozenset(v & mask for v in self.registers.get(operand.name, UNKNOWN))

    def set(self, register: Register, values: Values) -> None:
        """Give a register new values; fewer than four bytes leave it unknown."""
        if register.size < 4 or not values or len(values) > _MOST_VALUES:
            self.registers.pop(register.name, None)
        else:
            mask = (1 << 8 * register.size) - 1
            self.registers[register.name] = frozenset(v & mask for v in values)

    def addresses(self, memory: Memory) -> Values:
        """What a memory operand can name."""
        if memory.index or memory.base == "?":
            return UNKNOWN
        bases = self.registers.get(memory.base, UNKNOWN) if memory.base else frozenset({0})
        return frozenset((base + memory.offset) & MASK for base in bases)

    def store(self, memory: Memory, values: Values) -> None:
        """Store where the address is certain; an uncertain value is forgotten there."""
        where = self.addresses(memory)
        if len(where) != 1 or not 1 <= memory.size <= 8:
            return
        (at,) = where
        if len(values) != 1 or len(self.memory) > _MOST_STORED:
            for index in range(memory.size):
                self.memory.pop(at + index, None)
            return
        (value,) = values
        raw = (value & MASK).to_bytes(8, "little")
        self.memory.update({at + index: raw[index] for index in range(memory.size)})

    def word(self, bundle: BundleFile, address: int, size: int = 8) -> int | None:
        """A value in memory: what was stored, else what the file has where nothing can write."""
        stored = [self.memory.get(address + index) for index in range(size)]
        known = bytes(byte for byte in stored if byte is not None)
        if known:
            return int.from_bytes(known, "little") if len(known) == size else None
        part = bundle.part_at(address)
        if part is None or part.flags & 2:
            return None
        return int.from_bytes(bundle.memory(address, size), "little")


def apply(each: Instruction, state: State, bundle: BundleFile) -> None:
    """Change ``state`` as ``each``, which is no branch, does."""
    handler = _EFFECTS.get(each.mnemonic)
    if handler is None or not handler(each.operands, state, bundle):
        _forget(each, state)


def _forget(each: Instruction, state: State) -> None:
    for name in each.writes:
        state.registers.pop(name, None)
    if each.operands and isinstance(each.operands[0], Memory):
        state.store(each.operands[0], UNKNOWN)


Effect = Callable[[tuple[Operand, ...], State, BundleFile], bool]


def _move(operands: tuple[Operand, ...], state: State, bundle: BundleFile) -> bool:
    target, source = operands
    if isinstance(source, Memory):
        where = state.addresses(source)
        words = (
            {state.word(bundle, at, source.size) for at in where} if source.size <= 8 else {None}
        )
        values = frozenset(word for word in words if word is not None)
        values = values if len(values) == len(words) else UNKNOWN
    else:
        values = state.get(source)
    if isinstance(target, Memory):
        state.store(target, values)
    elif isinstance(target, Register):
        state.set(target, values)
    return True


def _extend(operands: tuple[Operand, ...], state: State, bundle: BundleFile) -> bool:
    target, source = operands
    if not isinstance(target, Register) or not isinstance(source, Register) or source.size != 4:
        return False
    signed = ((v ^ 1 << 31) - (1 << 31) for v in state.get(source))
    state.set(target, frozenset(v & MASK for v in signed))
    return True


def _address(operands: tuple[Operand, ...], state: State, _: BundleFile) -> bool:
    target, source = operands
    if isinstance(target, Register) and isinstance(source, Memory):
        state.set(target, state.addresses(source))
    return True


def _arithmetic(compute: Callable[[int, int], int]) -> Effect:
    def effect(operands: tuple[Operand, ...], state: State, _: BundleFile) -> bool:
        if len(operands) != 2 or not isinstance(operands[0], Register):
            return False
        left, right = state.get(operands[0]), state.get(operands[1])
        same = isinstance(operands[1], Register) and operands[0] == operands[1]
        if same and compute(5, 5) == 0:  # xor and sub of a register with itself
            state.set(operands[0], frozenset({0}))
            return True
        state.set(operands[0], frozenset(compute(a, b) & MASK for a in left for b in right))
        return True

    return effect


def _count(step: int) -> Effect:
    def effect(operands: tuple[Operand, ...], state: State, _: BundleFile) -> bool:
        if not isinstance(operands[0], Register):
            return False
        values = frozenset((v + step) & MASK for v in state.get(operands[0]))
        state.set(operands[0], values)
        return True

    return effect


def _push(operands: tuple[Operand, ...], state: State, _: BundleFile) -> bool:
    moved = frozenset((v - 8) & MASK for v in state.registers.get("rsp", UNKNOWN))
    values = state.get(operands[0])
    state.set(Register("rsp", 8), moved)
    state.store(Memory("rsp", "", 1, 0, 8), values)
    return True


def _pop(operands: tuple[Operand, ...], state: State, bundle: BundleFile) -> bool:
    _move((operands[0], Memory("rsp", "", 1, 0, 8)), state, bundle)
    moved = frozenset((v + 8) & MASK for v in state.registers.get("rsp", UNKNOWN))
    state.set(Register("rsp", 8), moved)
    return True


def _nothing(_operands: tuple[Operand, ...], _state: State, _bundle: BundleFile) -> bool:
    return True


_EFFECTS: dict[str, Effect] = {
    "mov": _move,
    "movabs": _move,
    "movsxd": _extend,
    "lea": _address,
    "add": _arithmetic(lambda a, b: a + b),
    "sub": _arithmetic(lambda a, b: a - b),
    "and": _arithmetic(lambda a, b: a & b),
    "or": _arithmetic(lambda a, b: a | b),
    "xor": _arithmetic(lambda a, b: a ^ b),
    "inc": _count(1),
    "dec": _count(-1),
    "push": _push,
    "pop": _pop,
    "cmp": _nothing,
    "test": _nothing,
    "nop": _nothing,
}
