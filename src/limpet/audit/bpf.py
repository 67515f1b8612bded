"""Classic BPF as the kernel takes it from ``seccomp``: which programs it refuses, what one says.

Sources: Linux ``net/core/filter.c`` (``bpf_check_classic``, ``chk_code_allowed``,
``check_load_and_stores``), ``kernel/seccomp.c`` (``seccomp_check_filter``) and
``Documentation/networking/filter.rst``.  ``tests/audit/test_bpf.py`` holds both functions against
the kernel itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from limpet.errors import BundleError

MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
LOAD, LOAD_LENGTH, CONSTANT, LOAD_CELL = 0x20, 0x80, 0x00, 0x60
X_LENGTH, X_CONSTANT, X_CELL = 0x81, 0x01, 0x61
STORE, STORE_X, TAX, TXA, NEGATE = 0x02, 0x03, 0x07, 0x87, 0x84
RETURN, RETURN_A, JUMP = 0x06, 0x16, 0x05
DATA_SIZE = 64  # struct seccomp_data
_CELLS, _WORD = 16, 0xFFFFFFFF
_LETS_THROUGH = frozenset({0x7FFF, 0x7FFC, 0x7FF0, 0x7FC0})  # ALLOW, LOG, and what others decide
_BY_X = 0x08


def lets_through(verdict: int) -> bool:
    """Whether a call is made: always, or when a tracer or listener says so.

    The lower half is data; an action that the kernel does not know ends the process.
    """
    return verdict >> 16 in _LETS_THROUGH


class Step(NamedTuple):
    """``struct sock_filter``: an operation, two jumps from behind it, and a constant."""

    code: int
    yes: int
    no: int
    value: int


def _shift(by: int) -> int:
    return by & 31  # as the processor and the kernel's interpreter do


_ARITHMETIC: dict[int, Callable[[int, int], int]] = {
    0x04: lambda a, b: a + b,
    0x14: lambda a, b: a - b,
    0x24: lambda a, b: a * b,
    0x34: lambda a, b: a // b,
    0x44: lambda a, b: a | b,
    0x54: lambda a, b: a & b,
    0x64: lambda a, b: a << _shift(b),
    0x74: lambda a, b: a >> _shift(b),
    0xA4: lambda a, b: a ^ b,
}
_DIVIDE, _SHIFTS = 0x34, (0x64, 0x74)

TESTS: dict[int, Callable[[int, int], bool]] = {
    0x15: lambda a, b: a == b,
    0x25: lambda a, b: a > b,
    0x35: lambda a, b: a >= b,
    0x45: lambda a, b: bool(a & b),
}

_KNOWN = frozenset(
    {LOAD, LOAD_LENGTH, CONSTANT, LOAD_CELL, X_LENGTH, X_CONSTANT, X_CELL, STORE, STORE_X}
    | {TAX, TXA, NEGATE, RETURN, RETURN_A, JUMP}
    | {code | by for code in (*_ARITHMETIC, *TESTS) for by in (0, _BY_X)}
)


@lru_cache(maxsize=32)
def steps(program: bytes) -> list[Step]:
    """A program's instructions; what is left over at its end is none."""
    whole = program[: len(program) // 8 * 8]
    return [Step(*fields) for fields in struct.iter_unpack("<HBBI", whole)]


def refused(program: list[Step]) -> str | None:
    """Why the kernel does not take a program, ``None`` when it does."""
    count = len(program)
    if not 0 < count <= MAX_INSTRUCTIONS:
        return f"it has {count} instructions, and the kernel takes 1 to {MAX_INSTRUCTIONS}"
    for at, step in enumerate(program):
        wrong = _wrong(step, count - at - 1)
        if wrong:
            return f"instruction {at} {wrong}"
    if program[-1].code not in (RETURN, RETURN_A):
        return "its last instruction does not return"
    early = _uninitialised(program)
    return None if early is None else f"instruction {early} loads a cell before it is stored"


def _wrong(step: Step, behind: int) -> str | None:
    """What is wrong with one instruction that has ``behind`` others after it."""
    code, yes, no, value = step
    if code not in _KNOWN:
        return f"has the code {code:#x}"
    if code == LOAD and (value >= DATA_SIZE or value % 4):
        return f"loads the word at {value:#x} of 64 bytes"
    if code == _DIVIDE and value == 0:
        return "divides by zero"
    if code in _SHIFTS and value >= 32:
        return f"shifts by {value}"
    if code in (LOAD_CELL, X_CELL, STORE, STORE_X) and value >= _CELLS:
        return f"names the cell {value} of {_CELLS}"
    jumps = (value,) if code == JUMP else (yes, no) if _is_test(code) else ()
    if any(jump >= behind for jump in jumps):
        return "jumps out of the program"
    return None


_CONDITIONS = {code | by for code in TESTS for by in (0, _BY_X)}


def _is_test(code: int) -> bool:
    return code in _CONDITIONS


def _uninitialised(program: list[Step]) -> int | None:
    """The first load of a cell that is not stored on every way to it."""
    stored_at = [(1 << _CELLS) - 1] * (len(program) + 1)
    stored = 0
    for at, (code, yes, no, value) in enumerate(program):
        stored &= stored_at[at]
        if code in (STORE, STORE_X):
            stored |= 1 << value
        elif code in (LOAD_CELL, X_CELL) and not stored >> value & 1:
            return at
        elif code == JUMP or _is_test(code):
            for jump in (value,) if code == JUMP else (yes, no):
                stored_at[at + 1 + jump] &= stored
            stored = (1 << _CELLS) - 1
    return None


class _Machine:
    """A run of a program that the kernel takes."""

    def __init__(self, data: bytes) -> None:
        self.words = struct.unpack("<16I", data)
        self.a = self.x = 0
        self.cells = [0] * _CELLS

    def move(self, step: Step) -> None:
        """An instruction that neither jumps nor returns."""
        code, value = step.code, step.value
        if code in (STORE, STORE_X):
            self.cells[value] = self.a if code == STORE else self.x
        elif code in (X_LENGTH, X_CONSTANT, X_CELL, TAX):
            choices = {X_LENGTH: DATA_SIZE, X_CONSTANT: value, TAX: self.a}
            self.x = choices[code] if code in choices else self.cells[value]
        elif code == LOAD_CELL:
            self.a = self.cells[value]
        elif code == NEGATE:
            self.a = -self.a & _WORD
        elif code in (LOAD_LENGTH, CONSTANT, TXA):
            self.a = {LOAD_LENGTH: DATA_SIZE, CONSTANT: value, TXA: self.x}[code]
        else:
            other = self.x if code & _BY_X else value
            self.a = _ARITHMETIC[code & ~_BY_X](self.a, other) & _WORD


class Fuel:
    """How many more instructions may be run before a reader gives up."""

    def __init__(self, instructions: int) -> None:
        self.left = instructions

    def burn(self, instructions: int) -> None:
        """Use some of it.

        Raises:
            BundleError: no more is left.
        """
        self.left -= instructions
        if self.left < 0:
            raise BundleError(
                "its seccomp programs are too involved to try", hint="do not run the bundle"
            )


def verdict(program: list[Step], data: bytes, fuel: Fuel | None = None) -> int:
    """What a program that is not :func:`refused` says of a call, ``struct seccomp_data``."""
    machine, at, ran = _Machine(data), 0, 0
    while True:
        code, yes, no, value = step = program[at]
        at += 1
        ran += 1
        if code == LOAD:
            machine.a = machine.words[value // 4]
        elif code in _CONDITIONS:
            other = machine.x if code & _BY_X else value
            at += yes if TESTS[code & ~_BY_X](machine.a, other) else no
        elif code == JUMP:
            at += value
        elif code == _DIVIDE | _BY_X and not machine.x:
            value = 0  # the kernel ends the thread
            break
        elif code == RETURN:
            break
        elif code == RETURN_A:
            value = machine.a
            break
        else:
            machine.move(step)
    if fuel:
        fuel.burn(ran)
    return value
