"""What instructions, which are no branches, do to a :class:`~limpet.arch.x86_64.state.State`.

An instruction that is not understood makes what it writes unknown, as the disassembler has it.
Which instructions a monitor may have at all is for ``audit.forms`` to say.
"""

from __future__ import annotations

from collections.abc import Callable

from limpet.arch.x86_64.decode import MASK, Instruction, Memory, Operand, Register
from limpet.arch.x86_64.state import Compared, Installed, State
from limpet.arch.x86_64.values import (
    ANYTHING,
    Span,
    Values,
    added,
    computed,
    cut,
    ends,
    joined,
    just,
    mask,
    masked,
    multiplied,
    shifted,
    single,
    subtracted,
)
from limpet.formats.bundle.read import BundleFile

Wrote = Callable[[Instruction, State, Span], None]
"""Told of each range of memory that an instruction may write, before it does."""

RAX, RCX, RSP, RSI, RDI = (Register(name, 8) for name in ("rax", "rcx", "rsp", "rsi", "rdi"))
_KEEP_FLAGS = frozenset(
    {"mov", "movabs", "lea", "push", "pop", "movzx", "movsx", "movsxd", "nop"}
    | {"rep movsb", "rep stosb", "rep stosq"}
)


class Effects:
    """Applies instructions to states."""

    def __init__(self, bundle: BundleFile, wrote: Wrote) -> None:
        self._bundle = bundle
        self._wrote = wrote

    def apply(self, each: Instruction, state: State) -> None:
        """Change ``state`` as ``each`` does."""
        name = each.mnemonic
        if name not in _KEEP_FLAGS and not name.startswith(("cmov", "set")):
            state.flags = None
        special = _SPECIAL.get(name)
        if special:
            special(self, each, state)
        elif name in _COMPUTED and each.operands:
            values = [self._read(operand, state, _width(each)) for operand in each.operands]
            self._write(each, state, _COMPUTED[name](values, each))
        elif name.startswith("cmov"):
            both = joined(state.get(each.operands[0]), self._read(each.operands[1], state))
            self._write(each, state, both)
        elif name.startswith("set"):
            self._write(each, state, frozenset({0, 1}))
        else:
            self._unknown(each, state)

    def _read(self, operand: Operand, state: State, width: int = 8) -> Values:
        if isinstance(operand, Memory):
            return state.load(self._bundle, state.addresses(operand), operand.size)
        return cut(state.get(operand), width) if isinstance(operand, int) else state.get(operand)

    def _write(self, each: Instruction, state: State, values: Values) -> None:
        target = each.operands[0]
        if isinstance(target, Memory):
            self._store(each, state, state.addresses(target), target.size, values)
        elif isinstance(target, Register):
            state.set(target, cut(values, target.size or 1))

    def _store(
        self, each: Instruction, state: State, where: Values, size: int, values: Values
    ) -> None:
        low, high = ends(where)
        self._wrote(each, state, Span(low, high + size))
        state.store(where, size, cut(values, min(size, 8)))

    def _lea(self, each: Instruction, state: State) -> None:
        source = each.operands[1]
        if isinstance(source, Memory):
            self._write(each, state, state.addresses(source))

    def _push(self, each: Instruction, state: State) -> None:
        values = self._read(each.operands[0], state)
        state.set(RSP, added(state.get(RSP), just(-8)))
        self._store(each, state, state.get(RSP), 8, values)

    def _pop(self, each: Instruction, state: State) -> None:
        values = state.load(self._bundle, state.get(RSP), 8)
        state.set(RSP, added(state.get(RSP), just(8)))
        self._write(each, state, values)

    def _copy(self, each: Instruction, state: State) -> None:
        """``rep movsb``: the direction flag is clear at the start, and nothing sets it."""
        count = self._repeat(each, state, 1)
        state.set(RSI, added(state.get(RSI), count))

    def _fill(self, each: Instruction, state: State) -> None:
        """``rep stosb`` and ``rep stosq``, likewise."""
        self._repeat(each, state, _width(each))

    def _repeat(self, each: Instruction, state: State, size: int) -> Values:
        """Write from RDI on, RCX times ``size`` bytes; how many that are."""
        count, (low, high) = multiplied(state.get(RCX), size, 8), ends(state.get(RDI))
        last = high + ends(count).high
        self._wrote(each, state, Span(low, last))
        state.forget(low, last)
        state.set(RDI, added(state.get(RDI), count))
        state.set(RCX, just(0))
        return count

    def _compare(self, each: Instruction, state: State) -> None:
        left, right = each.operands
        if not isinstance(left, Register) or left.size == 0:
            return
        zero = right == left if each.mnemonic == "test" else right == 0
        if state.result is not None and left.name == "rax" and left.size >= 4 and zero:
            state.flags = Installed(state.result)
        elif each.mnemonic == "cmp":
            than = single(self._read(right, state))
            known = ends(state.registers.get(left.name, ANYTHING))
            if than is not None and known.high <= mask(left.size):
                state.flags = Compared(left.name, than & mask(left.size))

    def _nothing(self, each: Instruction, state: State) -> None:
        pass

    def _unknown(self, each: Instruction, state: State) -> None:
        for name in each.writes:
            state.set(Register(name, 8), ANYTHING)
        if each.operands:
            self._write(each, state, ANYTHING)


_SPECIAL: dict[str, Callable[[Effects, Instruction, State], None]] = {
    "lea": Effects._lea,
    "push": Effects._push,
    "pop": Effects._pop,
    "rep movsb": Effects._copy,
    "rep stosb": Effects._fill,
    "rep stosq": Effects._fill,
    "cmp": Effects._compare,
    "test": Effects._compare,
    "bt": Effects._nothing,
    "nop": Effects._nothing,
}


def _width(each: Instruction, index: int = 0) -> int:
    operand = each.operands[index]
    return 8 if isinstance(operand, int) else min(operand.size or 1, 8)


def _extended(values: Values, each: Instruction) -> Values:
    """With the sign of the source."""
    top = mask(_width(each, 1)) // 2 + 1
    if isinstance(values, Span):
        return values if values.high < top else ANYTHING
    return frozenset((value ^ top) - top & MASK for value in values)


def _times(values: list[Values], each: Instruction) -> Values:
    by = single(values[-1])
    if by is None or len(values) < 2:
        return ANYTHING
    return multiplied(values[-2], by, _width(each))


def _right(values: list[Values], each: Instruction) -> Values:
    by = single(values[1])
    return ANYTHING if by is None else shifted(values[0], by & 63, _width(each))


def _left(values: list[Values], each: Instruction) -> Values:
    by = single(values[1])
    return ANYTHING if by is None else multiplied(values[0], 1 << (by & 63), _width(each))


def _xor(values: list[Values], each: Instruction) -> Values:
    if each.operands[0] == each.operands[1]:
        return just(0)
    return computed(lambda a, b: a ^ b, values[0], values[1], _width(each))


_COMPUTED: dict[str, Callable[[list[Values], Instruction], Values]] = {
    "mov": lambda v, _: v[1],
    "movabs": lambda v, _: v[1],
    "movzx": lambda v, _: v[1],
    "movsx": lambda v, each: _extended(v[1], each),
    "movsxd": lambda v, each: _extended(v[1], each),
    "add": lambda v, each: added(v[0], v[1], _width(each)),
    "sub": lambda v, each: subtracted(v[0], v[1], _width(each)),
    "and": lambda v, each: masked(v[0], v[1], _width(each)),
    "or": lambda v, each: computed(lambda a, b: a | b, v[0], v[1], _width(each)),
    "xor": _xor,
    "inc": lambda v, each: added(v[0], just(1), _width(each)),
    "dec": lambda v, each: added(v[0], just(mask(_width(each))), _width(each)),
    "shl": _left,
    "shr": _right,
    "imul": _times,
}
