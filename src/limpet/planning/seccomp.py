"""Seccomp filters: what a monitor may still ask of its host, as a classic BPF program.

A :class:`Rule` allows one system call with pinned arguments, in the process backend only from one
instruction pointer.  Sources: Linux ``Documentation/userspace-api/seccomp_filter.rst`` and
``include/uapi/linux/{seccomp,filter,audit}.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import prod

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Pin
from limpet.contract.pages import PAGE
from limpet.contract.slots import SLOTS, Slot
from limpet.planning import bpf
from limpet.planning.bpf import Assembler
from limpet.planning.regions import MONITOR_BASE

ALLOW = 0x7FFF0000
TRAP = 0x00030000
KILL_PROCESS = 0x80000000

_AUDIT_ARCH_X86_64 = 0xC000003E
_NUMBER, _ARCH, _POINTER, _ARGUMENTS = 0, 4, 8, 16
_MASK = 0xFFFFFFFF

_MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS
LARGE_CODE = PAGE * PAGE
"""Bytes of code whose pages are too many to be counted in the bits that its beginning leaves."""

PAIR = 2 * PAGE
"""Bytes of data that most shared objects have, in whole pages."""


@dataclass(frozen=True)
class Rule:
    """One allowed system call.

    ``label`` names the instruction right behind the only SYSCALL that may make it (process
    backend); ``None`` allows it from all of the monitor (kvm, where no guest code runs in the
    process).  ``origin`` is where the calling code starts, which gives the upper half of the
    instruction pointer.
    """

    call: str
    why: str
    pins: tuple[Pin, ...] = ()
    label: str | None = None
    origin: int = MONITOR_BASE


def filled(program: bytes, slots: Sequence[Slot], capacity: int, sector: int = 512) -> bytes:
    """``program`` as the monitor completes it when every device has that capacity."""
    last = capacity - sector
    high = capacity >> 32
    values = (sector, last & _MASK, last >> 32, capacity & _MASK, high, (high - 1) & _MASK)
    known = dict(zip(SLOTS, values, strict=True))
    out = bytearray(program)
    for instruction, _, which in slots:
        struct.pack_into("<I", out, 8 * instruction + 4, known[which])
    return bytes(out)


@dataclass(frozen=True)
class Filter:
    """An ordered allow-list and what becomes of everything else."""

    rules: tuple[Rule, ...]
    default: int
    guest: tuple[int, int]  # guest memory [low, high), for pins of kind "guest"

    @property
    def calls(self) -> tuple[str, ...]:
        """The distinct system calls that are left, sorted."""
        return tuple(sorted({rule.call for rule in self.rules}))

    def assemble(self, labels: Mapping[str, int]) -> bytes:
        """The program, 8 bytes an instruction; ``labels`` gives each rule's address.

        The instruction pointer is looked at first: the kernel runs a new filter for every number
        it knows to find those that are always allowed, and gives up where a pointer is read.
        """
        program, _ = self._assembler(labels).finish()
        assert len(program) <= 8 * _MOST_INSTRUCTIONS
        return program

    def _assembler(self, labels: Mapping[str, int]) -> Assembler:
        code = Assembler()
        halves: dict[int, list[Rule]] = {}
        for rule in self.rules:
            halves.setdefault(rule.origin >> 32, []).append(rule)
            assert rule.label is None or labels[rule.label] >> 32 == rule.origin >> 32
        for half, rules in halves.items():
            elsewhere = code.new_label()
            code.load(_POINTER + 4)
            code.jump(bpf.JEQ, half, no=elsewhere)
            code.load(_ARCH)
            code.jump(bpf.JEQ, _AUDIT_ARCH_X86_64, no="default")
            self._choose(code, rules, labels)
            code.label(elsewhere)
        code.label("default")
        code.end(self.default)
        return code

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Constants that only a start knows."""
        _, slots = self._assembler(self._anywhere()).finish()
        return slots

    def _anywhere(self) -> dict[str, int]:
        stubs = (rule for rule in self.rules if rule.label)
        return {str(rule.label): rule.origin + index for index, rule in enumerate(stubs)}

    @property
    def length(self) -> int:
        """How many instructions; labels do not change it."""
        return len(self.assemble(self._anywhere())) // 8

    def _choose(self, code: Assembler, rules: list[Rule], labels: Mapping[str, int]) -> None:
        """Branch on the instruction pointer of a stub, or on the number where there are none."""
        choices: dict[int, list[Rule]] = {}
        for rule in rules:
            key = NUMBERS[rule.call] if rule.label is None else labels[rule.label] & _MASK
            choices.setdefault(key, []).append(rule)
        stubs = rules[0].label is not None
        names = [code.new_label() for _ in choices]
        code.load(_POINTER if stubs else _NUMBER)
        for key, name in zip(choices, names, strict=True):
            code.jump(bpf.JEQ, key, yes=name)
        code.end(self.default)
        for name, group in zip(names, choices.values(), strict=True):
            code.label(name)
            misused, several = code.new_label(), len({rule.call for rule in group}) > 1
            if stubs and not several:
                code.load(_NUMBER)
                code.jump(bpf.JEQ, NUMBERS[group[0].call], no=misused)
            for _, same in groupby(group, lambda rule: (rule.call, rule.pins[:1])):
                self._rules(code, list(same), asks=stubs and several)
            code.label(misused)
            code.end(KILL_PROCESS if stubs else self.default)  # a stub put to another use

    def _rules(self, code: Assembler, rules: list[Rule], *, asks: bool) -> None:
        """Rules for one call from one place; what all of them ask first is asked once.

        ``asks`` says that the place makes several calls, so that each asks for its number.
        """
        shared = len(_common(rules))
        others = code.new_label()
        if asks:
            code.load(_NUMBER)
            code.jump(bpf.JEQ, NUMBERS[rules[0].call], no=others)
        for pin in rules[0].pins[:shared]:
            _pin(code, pin, self.guest, others)
        rest = [rule.pins[shared:] for rule in rules]
        runs, pairs = _runs(rest), _pairs(rest)
        if len(runs) > 1:
            _pin_runs(code, rules[0].pins[shared].index, runs, others)
            code.end(ALLOW)
        elif len(pairs) > 1:
            _pin_pairs(code, rules[0].pins[shared].index, pairs, others)
        elif choices := _product(rest):
            for either in choices:
                self._one_of(code, either, others)
            code.end(ALLOW)
        else:
            for pins in rest:
                mismatch = code.new_label()
                for pin in pins:
                    _pin(code, pin, self.guest, mismatch)
                code.end(ALLOW)
                code.label(mismatch)
        code.label(others)

    def _one_of(self, code: Assembler, either: Sequence[Pin], mismatch: str) -> None:
        """What one of ``either`` says."""
        fits = code.new_label()
        for pin in either[:-1]:
            other = code.new_label()
            _pin(code, pin, self.guest, other)
            code.go(fits)
            code.label(other)
        _pin(code, either[-1], self.guest, mismatch)
        code.label(fits)


def _common(rules: list[Rule]) -> tuple[Pin, ...]:
    """The pins with which all of ``rules`` begin."""
    first = min((rule.pins for rule in rules), key=len)
    for index, pin in enumerate(first):
        if any(rule.pins[index] != pin for rule in rules):
            return first[:index]
    return first


def _product(rest: list[tuple[Pin, ...]]) -> list[list[Pin]]:
    """For each argument the pins of which any goes with any of the others', where ``rest`` are all
    of these combinations; else none."""
    if len(rest) < 2 or len({tuple(pin.index for pin in pins) for pins in rest}) > 1:
        return []
    choices = [list(dict.fromkeys(column)) for column in zip(*rest, strict=True)]
    return choices if len(set(rest)) == prod(map(len, choices)) else []


def _runs(rest: list[tuple[Pin, ...]]) -> list[tuple[int, int]]:
    """The ranges [low, high) of one argument that are all that differs, ascending; else none.

    None of them reaches from one 4 GiB into the next, and all lie in the same.
    """
    found = sorted(pin.range for pins in rest for pin in pins if pin.range is not None)
    one = {(len(pins), pins[0].index if pins else 0) for pins in rest}
    tops = {end >> 32 for low, high in found for end in (low, high - 1)}
    apart = all(lower[1] <= upper[0] for lower, upper in pairwise(found))
    fits = len(found) == len(rest) and len(one) == len(tops) == 1 and max(one)[0] == 1
    return found if fits and apart else []


def _pin_runs(code: Assembler, index: int, runs: list[tuple[int, int]], mismatch: str) -> None:
    """In one of ``runs``, as :func:`_runs` gives them: what is the same for all is asked once.

    Two pages that begin at a multiple of their size are one value, the address without its last
    bits, and one instruction in the place of two.
    """
    fits = code.new_label()
    code.load(_ARGUMENTS + 8 * index + 4)
    code.jump(bpf.JEQ, runs[0][0] >> 32, no=mismatch)
    code.load(_ARGUMENTS + 8 * index)
    pairs = [low for low, high in runs if high - low == PAIR and low % PAIR == 0]
    others = [each for each in runs if each[0] not in pairs]
    if len(pairs) > 2 and others:
        code.do(bpf.SHIFT_RIGHT, PAIR.bit_length() - 1)
        for low in pairs:
            code.jump(bpf.JEQ, (low & _MASK) // PAIR, yes=fits)
        code.load(_ARGUMENTS + 8 * index)
        runs = others
    for low, high in runs[:-1]:
        code.jump(bpf.JGE, low & _MASK, no=mismatch)
        code.jump(bpf.JGT, (high - 1) & _MASK, no=fits)
    low, high = runs[-1]
    code.jump(bpf.JGE, low & _MASK, no=mismatch)
    code.jump(bpf.JGT, (high - 1) & _MASK, yes=mismatch)
    code.label(fits)


def _pairs(rest: list[tuple[Pin, ...]]) -> list[tuple[int, int]]:
    """Pairs of values of an argument and the one behind it that are all that differs; else none.

    All are whole pages below 4 GiB, and no two begin alike.
    """
    found = [tuple(pin.values[0] for pin in pins if len(pin.values) == 1) for pins in rest]
    places = {tuple(pin.index for pin in pins) for pins in rest}
    (first,) = places if len(places) == 1 else [()]
    fits = len(first) == 2 and first[0] + 1 == first[1]
    small = all(len(pair) == 2 and max(pair) <= _MASK for pair in found)
    apart = len({pair[:1] for pair in found}) == len(found)
    whole = not any(value % PAGE for pair in found for value in pair)
    return [(pair[0], pair[1]) for pair in found] if fits and small and apart and whole else []


def _pin_pairs(code: Assembler, index: int, pairs: list[tuple[int, int]], mismatch: str) -> None:
    """One of ``pairs``, and that is allowed: where one begins, and its length behind.

    Both are whole pages, so that the bits that a beginning leaves free are those of a length up to
    16 MiB, and a pair is one value: the kernel translates each instruction.
    """
    begins, length, fits = _ARGUMENTS + 8 * index, _ARGUMENTS + 8 * index + 8, code.new_label()
    for each in (begins, length):
        code.load(each + 4)
        code.jump(bpf.JEQ, 0, no=mismatch)
    for value, behind in pairs:
        if behind >= LARGE_CODE:
            other = code.new_label()
            code.load(begins)
            code.jump(bpf.JEQ, value, no=other)
            code.load(length)
            code.jump(bpf.JEQ, behind, yes=fits, no=mismatch)
            code.label(other)
    code.load(length)
    code.jump(bpf.JSET, PAGE - 1, yes=mismatch)
    code.jump(bpf.JGT, LARGE_CODE - 1, yes=mismatch)
    code.do(bpf.SHIFT_RIGHT, PAGE.bit_length() - 1)
    code.do(bpf.TAX)
    code.load(begins)
    code.jump(bpf.JSET, PAGE - 1, yes=mismatch)
    code.do(bpf.OR_X)
    for value, behind in pairs:
        if behind < LARGE_CODE:
            code.jump(bpf.JEQ, value | behind // PAGE, yes=fits)
    code.go(mismatch)
    code.label(fits)
    code.end(ALLOW)


def _pin(code: Assembler, pin: Pin, guest: tuple[int, int], mismatch: str) -> None:
    offset = _ARGUMENTS + 8 * pin.index
    if pin.slot is not None:
        _pin_slot(code, offset, pin.slot, mismatch)
        return
    if pin.guest or pin.range is not None:
        _pin_range(code, offset, guest if pin.range is None else pin.range, mismatch)
        return
    tops = {value >> 32 for value in pin.values} or {0}
    assert len(tops) == 1, f"values of argument {pin.index} with other high halves: {pin.values}"
    top = tops.pop()
    code.load(offset + 4)
    code.jump(bpf.JEQ, top, no=mismatch)
    code.load(offset)
    if pin.max is not None:
        code.jump(bpf.JGT, pin.max, yes=mismatch)
        return
    fits = code.new_label()
    for value in pin.values[:-1]:
        code.jump(bpf.JEQ, value & _MASK, yes=fits)
    code.jump(bpf.JEQ, pin.values[-1] & _MASK, no=mismatch)
    code.label(fits)


def _pin_range(code: Assembler, offset: int, bounds: tuple[int, int], mismatch: str) -> None:
    """An address in [low, high), in halves; of a half that cannot differ nothing is asked."""
    (low_top, low), (last_top, last) = divmod(bounds[0], 1 << 32), divmod(bounds[1] - 1, 1 << 32)
    code.load(offset + 4)
    if low_top == last_top:
        code.jump(bpf.JEQ, low_top, no=mismatch)
        code.load(offset)
        code.jump(bpf.JGE, low, no=mismatch)
        code.jump(bpf.JGT, last, yes=mismatch)
        return
    fits = code.new_label()
    code.jump(bpf.JGE, low_top, no=mismatch)
    if low:
        above = code.new_label()
        code.jump(bpf.JGT, low_top, yes=above)
        code.load(offset)
        code.jump(bpf.JGE, low, no=mismatch)
        code.load(offset + 4)
        code.label(above)
    code.jump(bpf.JGT, last_top, yes=mismatch)
    code.jump(bpf.JEQ, last_top, no=fits)
    code.load(offset)
    code.jump(bpf.JGT, last, yes=mismatch)
    code.label(fits)


def _pin_slot(code: Assembler, offset: int, slot: tuple[str, int], mismatch: str) -> None:
    """What only the start knows: ``sector`` is equal to it, an offset of a ``last`` at most it."""
    which, handle = slot
    if which == "within":
        _pin_within(code, offset - 8, offset, handle, mismatch)
        return
    fits = code.new_label()
    code.load(offset + 4)
    if which == "sector":
        code.jump(bpf.JEQ, 0, no=mismatch)
        code.load(offset)
        code.slot(handle, "sector")
        code.jump(bpf.JEQ, 0, no=mismatch)
        return
    code.slot(handle, "last_high")
    code.jump(bpf.JGT, 0, yes=mismatch)
    code.slot(handle, "last_high")
    code.jump(bpf.JEQ, 0, no=fits)
    code.load(offset)
    code.slot(handle, "last_low")
    code.jump(bpf.JGT, 0, yes=mismatch)
    code.label(fits)


def _pin_within(code: Assembler, length: int, offset: int, handle: int, mismatch: str) -> None:
    """``offset <= capacity - length`` in halves; ``length`` has been pinned below 2^32."""
    no_borrow, low, fits = code.new_label(), code.new_label(), code.new_label()
    code.load(length)
    code.do(bpf.TAX)
    code.slot(handle, "capacity_low")
    code.do(bpf.LOAD_CONSTANT)
    code.jump(bpf.JGE_X, 0, yes=no_borrow)
    code.do(bpf.SUBTRACT_X)
    code.do(bpf.TAX)
    code.load(offset + 4)
    code.slot(handle, "capacity_high")
    code.jump(bpf.JGE, 0, yes=mismatch)
    code.slot(handle, "capacity_under")
    code.jump(bpf.JEQ, 0, yes=low)
    code.go(fits)
    code.label(no_borrow)
    code.do(bpf.SUBTRACT_X)
    code.do(bpf.TAX)
    code.load(offset + 4)
    code.slot(handle, "capacity_high")
    code.jump(bpf.JGT, 0, yes=mismatch)
    code.slot(handle, "capacity_high")
    code.jump(bpf.JEQ, 0, no=fits)
    code.label(low)
    code.load(offset)
    code.jump(bpf.JGT_X, 0, yes=mismatch)
    code.label(fits)
