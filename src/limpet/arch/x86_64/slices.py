"""The constants that a register can have at a place, along every way that leads there.

A value is known only when each way backwards ends in an instruction that sets a constant.  Where
something else than the function's own branches can enter, or the unwinder may, it is not.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from limpet.arch.x86_64.decode import decode
from limpet.arch.x86_64.flow import Code, address_of, branch_of
from limpet.arch.x86_64.registers import (
    LEAVES,
    WRITES_FIRST,
    WRITES_NONE,
    register_of,
    value_left,
)
from limpet.arch.x86_64.sweep import Decoded
from limpet.formats.unwind import Function, bytes_at

_LOST_IN_CALLS = frozenset({"a", "c", "d", "si", "di", "r8", "r9", "r10", "r11"})
_LOST_IN_SYSTEM_CALLS = frozenset({"a", "c", "r11"})
MOST_STEPS, MOST_VALUES = 5000, 64
"""Instructions that are looked at for one register, and values that it may have."""


_LOADED = re.compile(r"(\w+), [dq]word ptr \[([^\]:]+)\]")


class _Unknown(Exception):
    """A way on which the register has no constant."""


@dataclass(frozen=True)
class _Ways:
    """A function's instructions by address, and the sources of its jumps by target."""

    code: list[Decoded]
    order: list[int]
    jumps: dict[int, list[int]]


@dataclass
class Slices:
    """The constants in the functions of some code."""

    code: Code
    _known: dict[int, _Ways] = field(default_factory=dict)

    def values(self, address: int, register: str) -> frozenset[int] | None:
        """What ``register`` can have before the instruction at ``address``; ``None``: unknown.

        Args:
            register: its family, as :func:`register_of` names it.
        """
        index = self.code.at(address)
        try:
            return frozenset(self._values(index, address, register))
        except _Unknown:
            return None

    def pointer(self, address: int, register: str) -> int | None:
        """Where the pointer lies through which the value of ``register`` at ``address`` was loaded.

        ``None``: it was not loaded so, or not on every way.
        """
        index = self.code.at(address)
        try:
            return None if index is None else self._pointer(index, address, register)
        except (_Unknown, ValueError):
            return None

    def _pointer(self, index: int, address: int, register: str) -> int | None:
        ways, through = self._ways(index), False
        for _ in range(MOST_STEPS):
            (before,) = self._before(ways, index, address)
            each = ways.code[before]
            address = ways.order[before]
            loaded = _LOADED.fullmatch(each[3]) if each[2] == "mov" else None
            if loaded and register_of(loaded[1]) == register:
                if through:
                    return address_of(each)
                register, through = register_of(loaded[2].split()[0]) or "", True
                continue
            (left,) = _left(self.code, each, register)
            if not isinstance(left, str):
                return None
            register = left
        return None

    def _values(self, index: int | None, address: int, register: str) -> set[int]:
        if index is None or self.code.functions[index].handles:
            raise _Unknown
        ways = self._ways(index)
        if _place(ways, address) is None:
            raise _Unknown
        found: set[int] = set()
        seen: set[tuple[int, str]] = set()
        work = [(address, register)]
        while work:
            state = work.pop()
            if state in seen:
                continue
            seen.add(state)
            for before in self._before(ways, index, state[0]):
                left = _left(self.code, ways.code[before], state[1])
                found.update(each for each in left if isinstance(each, int))
                at = ways.order[before]
                work += [(at, each) for each in left if isinstance(each, str)]
            if len(seen) > MOST_STEPS or len(found) > MOST_VALUES:
                raise _Unknown
        return found

    def _ways(self, index: int) -> _Ways:
        if index not in self._known:
            code = self.code.decoded(index)
            if code is None:
                raise _Unknown
            jumps: dict[int, list[int]] = {}
            for place, each in enumerate(code):
                target = branch_of(each)
                if target is not None:
                    jumps.setdefault(target, []).append(place)
            self._known[index] = _Ways(code, [each[0] for each in code], jumps)
        return self._known[index]

    def _before(self, ways: _Ways, index: int, address: int) -> Iterator[int]:
        """The places of the instructions that run right before the one at ``address``."""
        place = _place(ways, address)
        start = self.code.functions[index].start
        if place is None or address == start or self.code.is_entered(address):
            raise _Unknown
        yield from ways.jumps.get(address, ())
        if self._runs_on(ways.code[place - 1]):
            yield place - 1
        elif address not in ways.jumps and ways.code[place][2].split()[-1] != "nop":
            raise _Unknown  # no padding, and nothing that is known leads here

    def _runs_on(self, each: Decoded) -> bool:
        """Whether the instruction behind ``each`` can be the next."""
        mnemonic, target = each[2].split()[-1], branch_of(each)
        if mnemonic == "call" and target is not None:
            return self._returns(target)
        return mnemonic not in LEAVES

    def _returns(self, start: int) -> bool:
        """Whether the function at ``start`` can be left otherwise than by a call: in doubt, yes."""
        index = self.code.at(start)
        code = None if index is None else self.code.decoded(index)
        if index is None or code is None or self.code.functions[index].start != start:
            return True
        return any(_leaves(each, self.code.functions[index]) for each in code)


def _leaves(each: Decoded, function: Function) -> bool:
    mnemonic, target = each[2].split()[-1], branch_of(each)
    if mnemonic.startswith("ret"):
        return True
    if target is None:
        return mnemonic == "jmp"
    return mnemonic != "call" and not function.start <= target < function.end


def _place(ways: _Ways, address: int) -> int | None:
    place = bisect_left(ways.order, address)
    return place if place < len(ways.order) and ways.order[place] == address else None


def _left(code: Code, each: Decoded, register: str) -> tuple[int | str, ...]:
    """What ``register`` is behind ``each``: constants, and what other registers were before.

    Raises:
        _Unknown: it is neither.
    """
    address, size, text, operands = each
    mnemonic = text.split()[-1]
    if mnemonic in ("call", "syscall"):
        lost = _LOST_IN_CALLS if mnemonic == "call" else _LOST_IN_SYSTEM_CALLS
        return _unless(register in lost, register)
    if text in WRITES_NONE or mnemonic[0] == "j":
        return (register,)
    first = operands.split(",")[0].strip()
    if WRITES_FIRST.fullmatch(text):
        if register_of(first) != register:
            return (register,)
        if text == "lea":
            target = address_of(each)
            return _unless(target is None, target or 0)
        if text.startswith("cmov"):
            other = register_of(operands.split(",")[1].strip())
            return _unless(other is None, register, other or "")
        value = value_left(text, operands)
        return _unless(value is None, value or 0)
    decoded = decode(bytes_at(code.image, address, size), address)
    written = {register_of(name) for name in decoded.writes} if decoded else {register}
    return _unless(register in written, register)


def _unless(unknown: bool, *left: int | str) -> tuple[int | str, ...]:
    if unknown:
        raise _Unknown
    return left
