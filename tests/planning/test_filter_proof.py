"""The filter says exactly what the plan's rules say: shown for all system calls, not sampled.

:func:`filter_rules.prove` follows every path through the program; the concrete runs below hold the
same interpreter's plain half against it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from limpet import contract
from limpet.arch.x86_64.syscalls import NUMBERS
from tests.support import bpf, filter_rules
from tests.support.filter_rules import X86_64, Outside
from tests.support.proved import LINUX, SOLO5, Proved

I386, X86_64_LITTLE, ARM64 = 0x40000003, 0x8000003E, 0xC00000B7
OTHERS = (I386, X86_64_LITTLE, ARM64, 0, 2**32 - 1)
"""Architectures: each number has one of them at each pointer, and each pointer has all."""

FEWER = 8
"""Of how many pointers one is tried with a number that no rule has."""


def check(found: Proved) -> None:
    """The proof, and the concrete runs that say the same."""
    filter_rules.prove(found.program, found.policy)
    every_number(found)
    every_boundary(found)


def agree(found: Proved, number: int, arch: int, pointer: int, arguments: list[int]) -> None:
    """Program and rules have one verdict."""
    ran = bpf.run(found.program, bpf.words(number, arch, pointer, arguments))
    said = found.policy.verdict(number, arch, pointer, arguments)
    assert ran == said, (number, hex(arch), hex(pointer), [hex(each) for each in arguments])


def pointers_of(found: Proved) -> list[int]:
    """Each allowed instruction pointer, and those around it."""
    ends = {end for rule in found.policy.rules for span in rule.pointer for end in span}
    steps = (0, 1, -1, 2, -2, 4096, -4096, 1 << 32, -(1 << 32), 1 << 63)
    return sorted({(end + step) % 2**64 for end in ends for step in steps} | {0, 2**64 - 1})


def every_number(found: Proved) -> None:
    """All numbers that there are, some far above, those of x32, and the edges of the word."""
    allowed = sorted({rule.pointer[0] for rule in found.policy.rules})[:2]
    above = range(1 << 12, 1 << 32, 0xFFFFF1)  # the proof has taken every one of them
    for number in (*range(1 << 12), *above, 2**31 - 1, 2**31, 2**32 - 1):
        for pointer, _ in allowed:
            data = bpf.words(number, X86_64, pointer, [0] * 6)
            calls = found.policy.verdict(number, X86_64, pointer, [0] * 6)
            assert bpf.run(found.program, data) == calls, (number, hex(pointer))
            data[bpf.NUMBER] = number | 0x40000000
            assert bpf.run(found.program, data) != bpf.ALLOW, (number, hex(pointer))
    pointers, ruled = pointers_of(found), {rule.number for rule in found.policy.rules}
    for first, number in enumerate(NUMBERS.values()):
        some = pointers if number in ruled else pointers[first % FEWER :: FEWER]
        for at, pointer in enumerate(some, first):
            agree(found, number, X86_64, pointer, [0] * 6)
            agree(found, number, OTHERS[at % len(OTHERS)], pointer, [0] * 6)


def every_boundary(found: Proved) -> None:
    """Every end of what each rule asks of each argument."""
    for rule in found.policy.rules[:24] + found.policy.rules[-24:]:
        pointer = rule.pointer[0][0]
        for arguments in filter_rules.boundaries(rule):
            agree(found, rule.number, X86_64, pointer, arguments)
        arguments = [rule.arguments[i][0][0] if i in rule.arguments else 0 for i in range(6)]
        for near in pointers_of(found):
            agree(found, rule.number, X86_64, near, arguments)
        agree(found, rule.number | 0x40000000, X86_64, pointer, arguments)
        agree(found, rule.number, I386, pointer, arguments)


LARGE = ("63 devices", "devices", "several")


def _cases(names: Iterable[str]) -> list[Any]:
    """Large filters take seconds each."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow) if name in LARGE else name for name in names]


@pytest.mark.parametrize("name", _cases(LINUX))
@pytest.mark.parametrize("backends", ["kvm", "process", "kvm+process", "process+kvm"])
def test_linux(linux: Callable[[str, str], Proved], backends: str, name: str) -> None:
    """Programs: every option that changes the filter, on each backend, alone and with the other."""
    check(linux(backends, name))


@pytest.mark.parametrize("name", _cases(SOLO5))
@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_solo5(solo5: Callable[..., Proved], target: str, name: str) -> None:
    """Unikernels with no, one and several devices, the disks of every size."""
    check(solo5(target, name))


def test_solo5_timeout(solo5: Callable[..., Proved]) -> None:
    """The alarm's handler adds two stubs."""
    check(solo5("hvt", "both", 500))
    check(solo5("spt", "both", 500))


CALLS = {
    "hvt": {"ioctl", "clock_gettime", "write", "ppoll", "exit_group"},
    "spt": {"arch_prctl", "epoll_pwait", "timerfd_settime", "clock_gettime", "write", "exit_group"},
}
NOT_ONE = {"ppoll", "exit_group", "rt_sigtimedwait"}
"""Calls whose first argument is an address, or a status."""

FRAME_CALLS = {"timer_settime", "rt_sigtimedwait"}
"""What hvt gathers frames with."""

DEVICE_CALLS = {
    "block": {"pread64", "pwrite64"},
    "net": {"read", "write"},
}


@pytest.mark.parametrize("name", _cases(SOLO5))
@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_rules_of_solo5(solo5: Callable[..., Proved], target: str, name: str) -> None:
    """The rules themselves: these calls, and each device's on its own descriptor."""
    found = solo5(target, name)
    names = {number: call for call, number in NUMBERS.items()}
    devices = set()
    others = set()
    for rule in found.policy.rules:
        for low, high in rule.arguments.get(0, ((0, 0),)):
            assert low == high or names[rule.number] in NOT_ONE
            if contract.DEVICE_FD <= low <= contract.DEVICE_FD + 63:
                devices.add((names[rule.number], low - contract.DEVICE_FD))
            else:
                others.add(names[rule.number])
    wanted = {
        (call, handle) for handle, kind in enumerate(SOLO5[name], 1) for call in DEVICE_CALLS[kind]
    }
    assert devices == wanted
    gathers = target == "hvt" and "net" in SOLO5[name]
    assert others == CALLS[target] | (FRAME_CALLS if gathers else set())


BAD = {
    "a number of bytes": b"\6\0\0\0",
    "no return": struct.pack("<HBBI", 0x20, 0, 0, 0),
    "an opcode": struct.pack("<HBBIHBBI", 0x30, 0, 0, 0, 6, 0, 0, 0),
    "a store": struct.pack("<HBBIHBBI", 0x02, 0, 0, 0, 6, 0, 0, 0),
    "a load outside": struct.pack("<HBBIHBBI", 0x20, 0, 0, 64, 6, 0, 0, 0),
    "a load across": struct.pack("<HBBIHBBI", 0x20, 0, 0, 2, 6, 0, 0, 0),
    "a jump outside": struct.pack("<HBBIHBBI", 0x15, 0, 1, 0, 6, 0, 0, 0),
    "a jump back": struct.pack("<HBBIHBBI", 0x05, 0, 0, 2**32 - 1, 6, 0, 0, 0),
    "a verdict": struct.pack("<HBBI", 6, 0, 0, 0x7FFC0000),
}


@pytest.mark.parametrize("what", BAD)
def test_strict(what: str) -> None:
    """The interpreter takes no program that it does not know whole."""
    with pytest.raises(bpf.BadProgram):
        bpf.decode(BAD[what])


CHANGES = ((4, 1), (7, 0x80), (2, 1), (3, 1))
"""Bits of an instruction: of its constant, and of both targets."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "which", [("process", "devices"), ("kvm", "devices"), ("spt", "several"), ("hvt", "several")]
)
def test_changes_are_seen(
    linux: Callable[[str, str], Proved], solo5: Callable[..., Proved], which: tuple[str, str]
) -> None:
    """One bit of a constant, a jump or a verdict changed: no proof, but where no call differs."""
    found = (solo5 if which[0] in ("hvt", "spt") else linux)(*which)
    survivors = []
    changes = [(at, *bit) for at in range(len(found.program)) for bit in CHANGES]
    for at, byte, bit in changes:
        changed = bytearray(found.plain)
        changed[8 * at + byte] ^= bit
        try:
            program = bpf.decode(bytes(changed))
            filter_rules.prove(program, found.policy)
            survivors.append(replace(found, program=program))
        except (bpf.BadProgram, Outside):
            continue
    assert len(survivors) < len(changes) // 7
    for each in survivors[::12]:
        every_boundary(each)
