"""Hostile guests: each attack by its name, with the exact way in which it is refused."""

from __future__ import annotations

import pytest

from limpet.contract import Backend
from limpet.planning.regions import MONITOR_BASE
from tests.hostile.guest import (
    ALIEN,
    EITHER,
    INSTRUCTIONS,
    INVALID,
    JUMPED,
    PRIVILEGED,
    READ,
    SURVIVED,
    TRAPPED,
    UNALIGNED,
    WROTE,
    End,
    Hostile,
    crash,
    fault,
    forbidden,
)
from tests.support.bundles import Maker


@pytest.fixture
def hostile(make: Maker, backend: Backend) -> Hostile:
    """All attacks in one program, on each backend."""
    return Hostile(make, backend)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instruction(hostile: Hostile, name: str) -> None:
    """Privileged, undefined and rare instructions are faults of the guest."""
    hostile.ends(INSTRUCTIONS[name][1], name)


@pytest.mark.parametrize("vector", [3, 4, 0x80])
def test_interrupts(hostile: Hostile, vector: int) -> None:
    """INT reaches only the gates that the machine gives it; 0x80 is no way around the filter."""
    linux = ALIEN if hostile.backend == "process" else EITHER
    ends: dict[int, End | tuple[End, ...]] = {3: TRAPPED, 4: PRIVILEGED, 0x80: linux}
    hostile.ends(ends[vector], "one_interrupt", vector)
    # One vector is CPUID under kvm_pvm, whose host gives it that meaning.
    hostile.ends(End(0, "", "25[34]\nsurvived\n"), "all_interrupts")


def test_forbidden_memory(hostile: Hostile) -> None:
    """What is not the guest's cannot be read, written or run."""
    for address in forbidden(hostile.plan).values():
        attack_each_way(hostile, address)


def attack_each_way(hostile: Hostile, address: int) -> None:
    """Read, write, run."""
    for what, attack in ((READ, "peek"), (WROTE, "poke"), (JUMPED, "run")):
        hostile.ends(fault(what, address), attack, address)


@pytest.mark.parametrize("address", [1 << 63, 0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF])
def test_noncanonical_memory(hostile: Hostile, address: int) -> None:
    """Addresses that are none."""
    for attack in ("peek", "poke", "run"):
        hostile.ends(PRIVILEGED, attack, address)


def test_stack_nowhere(hostile: Hostile) -> None:
    """A stack pointer that is none does not keep a fault, or a system call, from being served."""
    hostile.ends(UNALIGNED, "set_stack", 1 << 63)
    hostile.ends(fault(WROTE, 0x1000 - 8), "set_stack", 0x1000)


def test_own_memory(hostile: Hostile) -> None:
    """Pages of the guest are writable or executable, never both, whatever it asks for."""
    place = hostile.place
    code = (place.image_lo, place.trampolines, place.text, place.constants, place.rodata)
    for address in (*code, MONITOR_BASE, hostile.plan.monitor_text):
        hostile.ends(fault(WROTE, address), "poke", address)
        hostile.ends(fault(WROTE, address), "patch", address)
    for address in (place.state, place.constants, place.rodata, place.arena[0], place.stack[0]):
        hostile.ends(fault(JUMPED, address), "run", address)
    for attack in ("run_data", "run_stack", "run_heap"):
        jumped = rf"{JUMPED} \(0x[0-9a-f]+\)"
        hostile.ends(crash(139, "SIGSEGV", jumped, r"[^ ]+"), attack)
    for attack in ("poke_text", "poke_constant"):
        hostile.ends(crash(139, "SIGSEGV", rf"{WROTE} \(0x[0-9a-f]+\)", r"[^ ]+"), attack)


def test_monitor_memory(hostile: Hostile) -> None:
    """The monitor is not there on kvm; in a process it is read-only and has no rights."""
    text = hostile.plan.monitor_text
    if hostile.backend == "kvm":
        hostile.ends(fault(READ, text), "peek", text)
        hostile.ends(fault(JUMPED, text), "run", text)
    else:
        hostile.ends(SURVIVED, "peek", text)


def test_exhaustion(hostile: Hostile) -> None:
    """A stack and a memory that end."""
    stack = r"exhausted its stack \(0x[0-9a-f]+\)"
    hostile.ends(crash(139, "SIGSEGV", stack, r"recurse\+0x[0-9a-f]+"), "exhaust_stack")
    hostile.ends(End(0, "", "2[0-9]\nsurvived\n"), "exhaust_memory")


def test_flags(hostile: Hostile) -> None:
    """Flags that change how the processor traps end the guest and nothing else."""
    hostile.ends(UNALIGNED, "alignment_check")
    hostile.ends(SURVIVED, "alignment_call")
    hostile.ends(fault(WROTE, 0), "alignment_fault", 0)
    hostile.ends(TRAPPED, "single_step")
    hostile.ends(TRAPPED, "single_step_call")
    hostile.ends(INVALID, "nested_task")
    hostile.ends(PRIVILEGED, "input_output_level")


def test_vsyscall(hostile: Hostile) -> None:
    """The old page of system calls: the host hands those of a process to the filter."""
    page = 0xFFFF_FFFF_FF60_0000
    hostile.ends(fault(READ, page), "peek", page)
    hostile.ends(fault(WROTE, page), "poke", page)
    gone = fault(JUMPED, page)
    hostile.ends(gone if hostile.backend == "kvm" else (gone, SURVIVED), "run", page)


def test_32_bit_mode(hostile: Hostile) -> None:
    """There is none on kvm; in a process its system calls are refused."""
    kvm = hostile.backend == "kvm"
    hostile.ends(EITHER if kvm else ALIEN, "short_interrupt")
    served = crash(139, "SIGSEGV", rf"{JUMPED} \(0x[0-9a-f]+\)")  # behind it, by its RET
    hostile.ends(served if kvm else (ALIEN, INVALID), "short_syscall")
    hostile.ends(EITHER if kvm else (ALIEN, INVALID), "short_sysenter")


def test_forged_frames(hostile: Hostile) -> None:
    """rt_sigreturn is the library OS's: a frame with selectors of ring 0 changes registers only."""
    hostile.ends(fault(JUMPED, 0), "forged_frame", 0, 0, 0, 0)
    hostile.ends(fault(JUMPED, 0x1000), "forged_frame", 1 << 63, 0x1000, 2**64 - 1, 0)
    kernel = 0xFFFF_FFFF_8100_0000
    hostile.ends(fault(JUMPED, kernel), "forged_frame", 0, kernel, 0x3000, 0)
    hostile.ends(fault(JUMPED, 0), "forged_frame", 0, kernel, 0, 1 << 63)  # EFAULT
