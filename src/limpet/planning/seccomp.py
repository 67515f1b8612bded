"""Seccomp filters: what a monitor may still ask of its host, as a classic BPF program.

A :class:`Rule` allows one system call with pinned arguments, in the process backend only from one
instruction pointer.  Sources: Linux ``Documentation/userspace-api/seccomp_filter.rst`` and
``include/uapi/linux/{seccomp,filter,audit}.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Pin
from limpet.contract.slots import SLOTS, Slot
from limpet.planning.regions import MONITOR_BASE

ALLOW = 0x7FFF0000
TRAP = 0x00030000
KILL_PROCESS = 0x80000000

_AUDIT_ARCH_X86_64 = 0xC000003E
_LOAD, _JA, _JEQ, _JGT, _JGE, _RETURN = 0x20, 0x05, 0x15, 0x25, 0x35, 0x06
_LOAD_CONSTANT, _TAX, _SUBTRACT_X, _JGT_X, _JGE_X = 0x00, 0x07, 0x1C, 0x2D, 0x3D
_NUMBER, _ARCH, _POINTER, _ARGUMENTS = 0, 4, 8, 16
_MASK = 0xFFFFFFFF

_MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS


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
        program = self._assembler(labels).finish()
        assert len(program) <= 8 * _MOST_INSTRUCTIONS
        return program

    def _assembler(self, labels: Mapping[str, int]) -> _Assembler:
        code = _Assembler()
        halves: dict[int, list[Rule]] = {}
        for rule in self.rules:
            halves.setdefault(rule.origin >> 32, []).append(rule)
            assert rule.label is None or labels[rule.label] >> 32 == rule.origin >> 32
        for half, rules in halves.items():
            elsewhere = code.new_label()
            code.load(_POINTER + 4)
            code.go_unless(half, elsewhere)
            code.load(_ARCH)
            code.go_unless(_AUDIT_ARCH_X86_64, "default")
            self._choose(code, rules, labels)
            code.label(elsewhere)
        code.label("default")
        code.end(self.default)
        return code

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Constants that only a start knows."""
        return tuple(self._assembler(self._anywhere()).slots)

    def _anywhere(self) -> dict[str, int]:
        stubs = (rule for rule in self.rules if rule.label)
        return {str(rule.label): rule.origin + index for index, rule in enumerate(stubs)}

    @property
    def length(self) -> int:
        """How many instructions; labels do not change it."""
        return len(self.assemble(self._anywhere())) // 8

    def _choose(self, code: _Assembler, rules: list[Rule], labels: Mapping[str, int]) -> None:
        """Branch on the instruction pointer of a stub, or on the number where there are none."""
        choices: dict[int, list[Rule]] = {}
        for rule in rules:
            key = NUMBERS[rule.call] if rule.label is None else labels[rule.label] & _MASK
            choices.setdefault(key, []).append(rule)
        stubs = rules[0].label is not None
        names = [code.new_label() for _ in choices]
        code.load(_POINTER if stubs else _NUMBER)
        for key, name in zip(choices, names, strict=True):
            code.go_if(key, name)
        code.end(self.default)
        for name, group in zip(names, choices.values(), strict=True):
            code.label(name)
            for _, same in groupby(group, lambda rule: (rule.call, rule.pins[:1])):
                self._rules(code, list(same))
            code.end(KILL_PROCESS if stubs else self.default)  # a stub put to another use

    def _rules(self, code: _Assembler, rules: list[Rule]) -> None:
        """Rules for one call from one place; what all of them ask first is asked once."""
        shared = len(_common(rules))
        others, island, over = code.new_label(), code.new_label(), code.new_label()
        if rules[0].label is not None:
            code.load(_NUMBER)
            code.jump(_JEQ, NUMBERS[rules[0].call], no=island)
        for pin in rules[0].pins[:shared]:
            _pin(code, pin, self.guest, island)
        if len(rules) == 1:
            code.end(ALLOW)
            code.label(island)
            return
        if rules[0].label is not None or shared:
            code.go(over)
            code.label(island)
            code.go(others)  # they may be farther than a plain jump reaches
            code.label(over)
        for rule in rules:
            mismatch = code.new_label()
            for pin in rule.pins[shared:]:
                _pin(code, pin, self.guest, mismatch)
            code.end(ALLOW)
            code.label(mismatch)
        code.label(others)


def _common(rules: list[Rule]) -> tuple[Pin, ...]:
    """The pins with which all of ``rules`` begin."""
    first = min((rule.pins for rule in rules), key=len)
    for index, pin in enumerate(first):
        if any(rule.pins[index] != pin for rule in rules):
            return first[:index]
    return first


def _pin(code: _Assembler, pin: Pin, guest: tuple[int, int], mismatch: str) -> None:
    offset = _ARGUMENTS + 8 * pin.index
    if pin.slot is not None:
        _pin_slot(code, offset, pin.slot, mismatch)
        return
    if pin.guest or pin.range is not None:
        _pin_range(code, offset, guest if pin.range is None else pin.range, mismatch)
        return
    code.load(offset + 4)
    code.jump(_JEQ, 0, no=mismatch)
    code.load(offset)
    if pin.max is not None:
        code.jump(_JGT, pin.max, yes=mismatch)
        return
    fits = code.new_label()
    for value in pin.values[:-1]:
        code.jump(_JEQ, value, yes=fits)
    code.jump(_JEQ, pin.values[-1], no=mismatch)
    code.label(fits)


def _pin_range(code: _Assembler, offset: int, bounds: tuple[int, int], mismatch: str) -> None:
    """An address in [low, high), in halves; of a half that cannot differ nothing is asked."""
    (low_top, low), (last_top, last) = divmod(bounds[0], 1 << 32), divmod(bounds[1] - 1, 1 << 32)
    code.load(offset + 4)
    if low_top == last_top:
        code.jump(_JEQ, low_top, no=mismatch)
        code.load(offset)
        code.jump(_JGE, low, no=mismatch)
        code.jump(_JGT, last, yes=mismatch)
        return
    fits = code.new_label()
    code.jump(_JGE, low_top, no=mismatch)
    if low:
        above = code.new_label()
        code.jump(_JGT, low_top, yes=above)
        code.load(offset)
        code.jump(_JGE, low, no=mismatch)
        code.load(offset + 4)
        code.label(above)
    code.jump(_JGT, last_top, yes=mismatch)
    code.jump(_JEQ, last_top, no=fits)
    code.load(offset)
    code.jump(_JGT, last, yes=mismatch)
    code.label(fits)


def _pin_slot(code: _Assembler, offset: int, slot: tuple[str, int], mismatch: str) -> None:
    """What only the start knows: ``sector`` is equal to it, an offset of a ``last`` at most it."""
    which, handle = slot
    if which == "within":
        _pin_within(code, offset - 8, offset, handle, mismatch)
        return
    fits = code.new_label()
    code.load(offset + 4)
    if which == "sector":
        code.jump(_JEQ, 0, no=mismatch)
        code.load(offset)
        code.slot(handle, "sector")
        code.jump(_JEQ, 0, no=mismatch)
        return
    code.slot(handle, "last_high")
    code.jump(_JGT, 0, yes=mismatch)
    code.slot(handle, "last_high")
    code.jump(_JEQ, 0, no=fits)
    code.load(offset)
    code.slot(handle, "last_low")
    code.jump(_JGT, 0, yes=mismatch)
    code.label(fits)


def _pin_within(code: _Assembler, length: int, offset: int, handle: int, mismatch: str) -> None:
    """``offset <= capacity - length`` in halves; ``length`` has been pinned below 2^32."""
    no_borrow, low, fits = code.new_label(), code.new_label(), code.new_label()
    code.load(length)
    code.do(_TAX)
    code.slot(handle, "capacity_low")
    code.do(_LOAD_CONSTANT)
    code.jump(_JGE_X, 0, yes=no_borrow)
    code.do(_SUBTRACT_X)
    code.do(_TAX)
    code.load(offset + 4)
    code.slot(handle, "capacity_high")
    code.jump(_JGE, 0, yes=mismatch)
    code.slot(handle, "capacity_under")
    code.jump(_JEQ, 0, yes=low)
    code.go(fits)
    code.label(no_borrow)
    code.do(_SUBTRACT_X)
    code.do(_TAX)
    code.load(offset + 4)
    code.slot(handle, "capacity_high")
    code.jump(_JGT, 0, yes=mismatch)
    code.slot(handle, "capacity_high")
    code.jump(_JEQ, 0, no=fits)
    code.label(low)
    code.load(offset)
    code.jump(_JGT_X, 0, yes=mismatch)
    code.label(fits)


@dataclass
class _Assembler:
    """Classic BPF with named forward jumps."""

    code: list[tuple[int, str, str, int]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    slots: list[tuple[int, int, str]] = field(default_factory=list)
    far: dict[int, str] = field(default_factory=dict)

    def load(self, offset: int) -> None:
        self.code.append((_LOAD, "", "", offset))

    def end(self, verdict: int) -> None:
        self.code.append((_RETURN, "", "", verdict))

    def jump(self, test: int, value: int, *, yes: str = "", no: str = "") -> None:
        self.code.append((test, yes, no, value))

    def do(self, operation: int) -> None:
        """An instruction that neither jumps nor has a constant of the plan's."""
        self.code.append((operation, "", "", 0))

    def slot(self, handle: int, which: str) -> None:
        """The start stores what it knows of a device into the next instruction."""
        self.slots.append((len(self.code), handle, which))

    def go(self, label: str) -> None:
        """Jump however far; the target of a plain jump is within 255 instructions."""
        self.do(_JA)
        self.far[len(self.code) - 1] = label

    def go_if(self, value: int, label: str) -> None:
        """Branch however far."""
        over = self.new_label()
        self.jump(_JEQ, value, no=over)
        self.go(label)
        self.label(over)

    def go_unless(self, value: int, label: str) -> None:
        """As :meth:`go_if`, when the values differ."""
        over = self.new_label()
        self.jump(_JEQ, value, yes=over)
        self.go(label)
        self.label(over)

    def new_label(self) -> str:
        self.labels[name := f"L{len(self.labels)}"] = -1
        return name

    def label(self, name: str) -> None:
        self.labels[name] = len(self.code)

    def finish(self) -> bytes:
        out = bytearray()
        for at, (operation, yes, no, value) in enumerate(self.code):
            offsets = [self.labels[name] - at - 1 if name else 0 for name in (yes, no)]
            constant = self.labels[self.far[at]] - at - 1 if at in self.far else value
            out += struct.pack("<HBBI", operation, *offsets, constant)
        return bytes(out)
