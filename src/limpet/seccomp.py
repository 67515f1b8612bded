"""Seccomp filters: what a monitor may still ask of its host, as a classic BPF program.

A :class:`Rule` allows one system call with pinned arguments, in the process backend only from one
instruction pointer.  Sources: Linux ``Documentation/userspace-api/seccomp_filter.rst`` and
``include/uapi/linux/{seccomp,filter,audit}.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from limpet.contract import Pin
from limpet.syscalls import NUMBERS

ALLOW = 0x7FFF0000
TRAP = 0x00030000
KILL_PROCESS = 0x80000000

_AUDIT_ARCH_X86_64 = 0xC000003E
_LOAD, _JEQ, _JGT, _JGE, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x06
_NUMBER, _ARCH, _POINTER, _ARGUMENTS = 0, 4, 8, 16
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Rule:
    """One allowed system call.

    ``label`` names the instruction right behind the only SYSCALL that may make it (process
    backend); ``None`` allows it from anywhere (kvm, where no guest code runs in the process).
    """

    call: str
    why: str
    pins: tuple[Pin, ...] = ()
    label: str | None = None


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
        """The program, 8 bytes an instruction; ``labels`` gives each rule's address."""
        code = _Assembler()
        code.load(_ARCH)
        code.jump(_JEQ, _AUDIT_ARCH_X86_64, no="default")
        for rule in self.rules:
            self._rule(code, rule, labels)
        code.label("default")
        code.end(self.default)
        return code.finish()

    @property
    def length(self) -> int:
        """How many instructions; labels do not change it."""
        names = [rule.label for rule in self.rules if rule.label]
        return len(self.assemble(dict.fromkeys(names, 0))) // 8

    def _rule(self, code: _Assembler, rule: Rule, labels: Mapping[str, int]) -> None:
        otherwise, mismatch = code.new_label(), code.new_label()
        if rule.label is not None:
            _equals(code, _POINTER, labels[rule.label], otherwise)
        else:
            mismatch = otherwise
        code.load(_NUMBER)
        code.jump(_JEQ, NUMBERS[rule.call], no=mismatch)
        for pin in rule.pins:
            _pin(code, pin, self.guest, mismatch)
        code.end(ALLOW)
        if mismatch != otherwise:
            code.label(mismatch)  # a stub put to another use
            code.end(KILL_PROCESS)
        code.label(otherwise)


def _equals(code: _Assembler, offset: int, value: int, otherwise: str) -> None:
    code.load(offset)
    code.jump(_JEQ, value & _MASK, no=otherwise)
    code.load(offset + 4)
    code.jump(_JEQ, value >> 32, no=otherwise)


def _pin(code: _Assembler, pin: Pin, guest: tuple[int, int], mismatch: str) -> None:
    offset = _ARGUMENTS + 8 * pin.index
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
    low, last = bounds[0], bounds[1] - 1
    low_fits, fits = code.new_label(), code.new_label()
    code.load(offset + 4)
    code.jump(_JGT, low >> 32, yes=low_fits)
    code.jump(_JEQ, low >> 32, no=mismatch)
    code.load(offset)
    code.jump(_JGE, low & _MASK, no=mismatch)
    code.label(low_fits)
    code.load(offset + 4)
    code.jump(_JGT, last >> 32, yes=mismatch)
    code.jump(_JEQ, last >> 32, no=fits)
    code.load(offset)
    code.jump(_JGT, last & _MASK, yes=mismatch)
    code.label(fits)


@dataclass
class _Assembler:
    """Classic BPF with named forward jumps."""

    code: list[tuple[int, str, str, int]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def load(self, offset: int) -> None:
        self.code.append((_LOAD, "", "", offset))

    def end(self, verdict: int) -> None:
        self.code.append((_RETURN, "", "", verdict))

    def jump(self, test: int, value: int, *, yes: str = "", no: str = "") -> None:
        self.code.append((test, yes, no, value))

    def new_label(self) -> str:
        self.labels[name := f"L{len(self.labels)}"] = -1
        return name

    def label(self, name: str) -> None:
        self.labels[name] = len(self.code)

    def finish(self) -> bytes:
        out = bytearray()
        for at, (operation, yes, no, value) in enumerate(self.code):
            offsets = [self.labels[name] - at - 1 if name else 0 for name in (yes, no)]
            out += struct.pack("<HBBI", operation, *offsets, value)
        return bytes(out)


def rules_for(
    hosts: Sequence[tuple[str, str, str, tuple[Pin, ...]]], stubs: bool
) -> tuple[Rule, ...]:
    """Rules from ``(hypercall, call, why, pins)``; with ``stubs`` each is tied to its stub."""
    return tuple(
        Rule(call, why, pins, f"host_{hypercall}_{call}" if stubs else None)
        for hypercall, call, why, pins in hosts
    )
