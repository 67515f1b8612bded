"""Seccomp filters: what a monitor may still ask of its host, as a classic BPF program.

A :class:`Rule` allows one system call with pinned arguments, in the process backend only from one
instruction pointer.  Sources: Linux ``Documentation/userspace-api/seccomp_filter.rst`` and
``include/uapi/linux/{seccomp,filter,audit}.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Pin
from limpet.contract.pages import PAGE
from limpet.contract.slots import SLOTS, Slot
from limpet.planning import alike, bpf
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
            for index, top in (
                {} if several else alike.tops([rule.pins for rule in group])
            ).items():
                code.know(_ARGUMENTS + 8 * index + 4, top, no=misused)
            for _, same in groupby(group, lambda rule: (rule.call, rule.pins[:1])):
                self._rules(code, list(same), asks=stubs and several)
            code.forget()
            code.label(misused)
            code.end(KILL_PROCESS if stubs else self.default)  # a stub put to another use

    def _rules(self, code: Assembler, rules: list[Rule], *, asks: bool) -> None:
        """Rules for one call from one place; what all of them ask first is asked once.

        ``asks`` says that the place makes several calls, so that each asks for its number.
        """
        shared = len(alike.common([rule.pins for rule in rules]))
        others = code.new_label()
        if asks:
            code.load(_NUMBER)
            code.jump(bpf.JEQ, NUMBERS[rules[0].call], no=others)
        for pin in rules[0].pins[:shared]:
            _pin(code, pin, self.guest, others)
        rest = [rule.pins[shared:] for rule in rules]
        runs, pairs = alike.runs(rest), alike.pairs(rest)
        if len(runs) > 1:
            _pin_runs(code, rules[0].pins[shared].index, runs, others)
            code.end(ALLOW)
        elif len(pairs) > 1:
            _pin_pairs(code, rules[0].pins[shared].index, pairs, others)
        elif choices := alike.product(rest):
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


def _pin_runs(code: Assembler, index: int, runs: list[tuple[int, int]], mismatch: str) -> None:
    """In one of ``runs``, as :func:`alike.runs` gives them: what is the same for all is asked once.

    Two pages that begin at a multiple of their size are one value, the address without its last
    bits, and one instruction in the place of two.
    """
    fits = code.new_label()
    code.half(_ARGUMENTS + 8 * index + 4, runs[0][0] >> 32, no=mismatch)
    code.load(_ARGUMENTS + 8 * index)
    pairs = [low for low, high in runs if high - low == PAIR and low % PAIR == 0]
    others = [each for each in runs if each[0] not in pairs]
    if len(pairs) > 2 and others:
        code.do(bpf.SHIFT_RIGHT, PAIR.bit_length() - 1)
        for low in pairs:
            code.jump(bpf.JEQ, (low & _MASK) // PAIR, yes=fits)
        code.load(_ARGUMENTS + 8 * index)
        runs = others
    for low, high in runs:
        above = code.new_label()
        code.jump(bpf.JGT, (high - 1) & _MASK, yes=above)
        code.jump(bpf.JGE, low & _MASK, yes=fits)
        code.label(above)
    code.go(mismatch)
    code.label(fits)


def _pin_pairs(code: Assembler, index: int, pairs: list[tuple[int, int]], mismatch: str) -> None:
    """One of ``pairs``, and that is allowed: where one begins, and its length behind.

    Both are whole pages, so that the bits that a beginning leaves free are those of a length up to
    16 MiB, and a pair is one value: the kernel translates each instruction.
    """
    begins, length, fits = _ARGUMENTS + 8 * index, _ARGUMENTS + 8 * index + 8, code.new_label()
    for each in (begins, length):
        code.half(each + 4, 0, no=mismatch)
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
    code.half(offset + 4, top, no=mismatch)
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
    if low_top == last_top:
        code.half(offset + 4, low_top, no=mismatch)
        code.load(offset)
        if low:
            code.jump(bpf.JGE, low, no=mismatch)
        code.jump(bpf.JGT, last, yes=mismatch)
        return
    fits = code.new_label()
    code.load(offset + 4)
    code.jump(bpf.JGE, low_top, no=mismatch)
    if low:
        above = code.new_label()
        code.jump(bpf.JGT, low_top, yes=above)
        code.load(offset)
        code.jump(bpf.JGE, low, no=mismatch)
        code.load(offset + 4)
        code.label(above)
    code.jump(bpf.JGT, last_top, yes=mismatch)
    if last < _MASK:
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
