"""Hostile guests that arrange their memory: no page more than at the start, none executable."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import BACKENDS
from limpet.contract.limits import PLACE_MOST
from limpet.guests.linux.layout import RESERVE
from limpet.planning.regions import MONITOR_BASE
from tests.hostile.guest import (
    JUMPED,
    MEMORY,
    TRAPPED,
    WROTE,
    End,
    Hostile,
    fault,
    source,
    stubs,
)
from tests.support.bundles import Made, Maker

THREADS = """
#include <pthread.h>
static void *nothing(void *x) { return x; }
__attribute__((used)) static int start(void) {
    pthread_t thread;
    return pthread_create(&thread, 0, nothing, 0);
}
"""

KILLED, PAGE, RW, RX = End(159), 4096, 3, 5
ENOMEM, EINVAL = -12, -22


@dataclass(frozen=True)
class Arranging(Hostile):
    """The same attacks in a program that starts threads, as a process."""

    features: tuple[str, ...] = ()

    def made(self, **options: Any) -> Made:
        """Its bundle."""
        return super().made(features=self.features, **options)

    @property
    def program(self) -> Path:
        """All attacks, and threads."""
        return self.make.compile(source() + THREADS, "attack", "-O1")

    def stub(self, call: str, *numbers: int) -> int:
        """The address from which ``call`` may be made, found with numbers that do no harm."""
        for at in stubs(self):
            if self.run("jump_call", at, NUMBERS[call], *numbers).status == 0:
                return at
        raise AssertionError(call)


@pytest.fixture(scope="module")
def hostile(make: Maker) -> Arranging:
    """On the backend that has them."""
    found = Arranging(make, "process")
    assert {"protect", "place"} < {call.name for call in found.plan.hypercalls}
    return found


@pytest.fixture(scope="module")
def protect(hostile: Arranging) -> int:
    """Where mprotect is made."""
    return hostile.stub("mprotect", hostile.place.arena[1] - PAGE, PAGE, RW)


@pytest.fixture(scope="module")
def place(hostile: Arranging) -> int:
    """Where mremap is made."""
    last = hostile.place.arena[1] - PAGE
    return hostile.stub("mremap", last, PAGE, PAGE, 3, RESERVE[0])


def elsewhere(hostile: Arranging) -> Iterator[int]:
    """Addresses whose pages are not the guest's to change."""
    at = hostile.place
    yield from (0, at.image_lo, at.trampolines, at.text, at.state, at.constants, at.arena[0] - PAGE)
    yield from (
        at.signal_stack,
        at.devices,
        at.arena[0] - 1,
        at.text_end - PAGE,
        at.state_end - PAGE,
    )
    yield from (at.supervisor, MONITOR_BASE, hostile.plan.monitor_text, RESERVE[0] - PAGE)
    yield from (RESERVE[1], 0x7FFF_FFFF_E000, 1 << 47, 2**64 - PAGE)


def test_rights(hostile: Arranging, protect: int) -> None:
    """Neither other memory, nor other rights, nor more at once than it takes to reach there."""
    number, at = NUMBERS["mprotect"], hostile.place.arena[1] - PAGE
    for address in elsewhere(hostile):
        hostile.ends(KILLED, "jump_call", protect, number, address, PAGE, RW)
    for rights in (2, 4, 5, 6, 7, 8, 11, 1 << 24 | 3, 1 << 32 | 3, 2**64 - 1):
        hostile.ends(KILLED, "jump_call", protect, number, at, PAGE, rights)
    for length in (PLACE_MOST + 1, 1 << 32, 1 << 63, 2**64 - PAGE):
        hostile.ends(KILLED, "jump_call", protect, number, at, length, RW)
    over = End(0, "", f"{ENOMEM}\nsurvived\n")
    hostile.ends(over, "jump_call", protect, number, at, PLACE_MOST, RW)
    hostile.ends(over, "jump_call", protect, number, RESERVE[1] - PAGE, PLACE_MOST, RW)


def test_the_program_itself(hostile: Arranging, protect: int) -> None:
    """It can lose rights, and get none that it did not have: a page of its data is one again."""
    number = NUMBERS["mprotect"]
    ((low, high),) = hostile.place.writable
    for address in range(low, high, PAGE):
        hostile.ends(End(0, "", "0\nsurvived\n"), "jump_call", protect, number, address, PAGE, RW)
    for address in (hostile.place.image_lo, low - PAGE, high, low - 1):
        hostile.ends(KILLED, "jump_call", protect, number, address, PAGE, RW)
    for length in (PAGE + 1, 2 * PAGE, 1 << 32):
        hostile.ends(KILLED, "jump_call", protect, number, low, length, RW)
    for rights in (2, 4, 5, 6, 7, RW):
        hostile.ends(KILLED, "jump_call", protect, number, hostile.place.image_lo, PAGE, rights)


def test_places(hostile: Arranging, place: int) -> None:
    """Only between its own memory and what is reserved, by no more than a move."""
    number, at = NUMBERS["mremap"], hostile.place.arena[1] - PAGE
    for address in elsewhere(hostile):
        hostile.ends(KILLED, "jump_call", place, number, address, PAGE, PAGE, 3, RESERVE[0])
        hostile.ends(KILLED, "jump_call", place, number, at, PAGE, PAGE, 3, address)
    for flags in (0, 1, 2, 4, 5, 7, 8, 1 << 32 | 3):
        hostile.ends(KILLED, "jump_call", place, number, at, PAGE, PAGE, flags, RESERVE[0])
    for length in (PLACE_MOST + 1, 1 << 32, 2**64 - 1):
        hostile.ends(KILLED, "jump_call", place, number, at, PAGE, length, 3, RESERVE[0])
        hostile.ends(KILLED, "jump_call", place, number, at, length, PAGE, 3, RESERVE[0])


def test_never_more(hostile: Arranging, place: int) -> None:
    """A move that would end with more pages than there were is refused by the kernel's limit."""
    number, low = NUMBERS["mremap"], hostile.place.arena[0]
    at = hostile.place.arena[1] - (1 << 20)
    for have, want in ((PAGE, 2 * PAGE), (PAGE, PLACE_MOST), (1 << 20, (1 << 20) + PAGE)):
        for target in (RESERVE[0], RESERVE[1] - PAGE, low + (1 << 20)):
            refused = End(0, "", f"({ENOMEM}|{EINVAL})\nsurvived\n")  # no memory, or over itself
            hostile.ends(refused, "jump_call", place, number, at, have, want, 3, target)
    for have in (0, 1):
        ran = hostile.run("jump_call", place, number, at, have, PAGE, 3, RESERVE[0])
        assert ran.stdout in (
            f"{EINVAL}\nsurvived\n".encode(),
            f"{RESERVE[0]}\nsurvived\n".encode(),
        )


@pytest.fixture(scope="module")
def machine(make: Maker) -> Arranging:
    """In a virtual machine, where ring 0 does it."""
    return Arranging(make, "kvm")


def asked(result: int) -> str:
    """What is said of a request, and that nothing came of it."""
    return f"{result}\nsurvived\n"


def test_ring_0(machine: Arranging) -> None:
    """Ring 0 moves nothing but the arena's pages, and changes the rights of nothing else."""
    gate, at = machine.place.entry("ring0_gate"), machine.place.arena[1] - PAGE
    for address in elsewhere(machine):
        refused = End(0, "", f"({EINVAL}|{ENOMEM}|0)\nsurvived\n")
        machine.ends(refused, "ask_ring_0", gate, address, 0, 1, RW)
        machine.ends(End(0, "", asked(EINVAL)), "ask_ring_0", gate, address, RESERVE[0], 1, RW)
        machine.ends(End(0, "", asked(EINVAL)), "ask_ring_0", gate, at, address or 1, 1, RW)
    for rights in (2, 4, 5, 6, 7, 8, 11, 1 << 32 | 3, 1 << 63 | 3, 2**64 - 1):
        machine.ends(End(0, "", asked(EINVAL)), "ask_ring_0", gate, at, 0, 1, rights)
    for pages in (0, (1 << 18) + 1, 1 << 52, 2**64 - 1):
        machine.ends(End(0, "", asked(EINVAL)), "ask_ring_0", gate, at, 0, pages, RW)
        machine.ends(End(0, "", asked(EINVAL)), "ask_ring_0", gate, at, RESERVE[0], pages, RW)


def test_pages_of_others(machine: Arranging) -> None:
    """What could not be written before cannot be written behind any request."""
    place = machine.place
    gate = place.entry("ring0_gate")
    places = [place.text, place.constants, place.supervisor, place.supervisor + 3 * PAGE]
    places += [place.image_lo, place.writable[0][0] - PAGE, place.tree]
    for at in (*places, place.arena[1] + PAGE):
        found = End(*_wrote(at), f"({EINVAL}|{ENOMEM}|0)\n")
        machine.ends(found, "ask_ring_0", gate, at, 0, 1, RW, at)
        machine.ends(found, "ask_ring_0", gate, at, RESERVE[0], 1, RW, at)
    machine.ends(TRAPPED, "int3")  # any but the gate's


def _wrote(at: int) -> tuple[int, str]:
    end = fault(WROTE, at)
    return end.status, end.line.replace("FUNCTION", "ask_ring_0")


def test_tables_end(machine: Arranging) -> None:
    """Page tables come out of a room of their own: it ends, and what was moved is there."""
    gate, last = machine.place.entry("ring0_gate"), machine.place.arena[1] - PAGE
    machine.ends(End(0, "", "1\nsurvived\n"), "use_up_tables", gate, last, RESERVE[0])


@pytest.fixture(scope="module", params=BACKENDS)
def running(make: Maker, request: pytest.FixtureRequest) -> Arranging:
    """With --jit."""
    return Arranging(make, request.param, features=("jit",))


def test_never_written_and_run(running: Arranging) -> None:
    """What the guest runs it cannot write, and other memory stays as it is."""
    at, number = running.place.arena[1] - PAGE, NUMBERS["mprotect"]
    if running.backend == "kvm":
        gate = running.place.entry("ring0_gate")
        for rights in (2, 4, 6, 7, 13, 1 << 32 | 5, 1 << 63 | 5):
            running.ends(End(0, "", asked(EINVAL)), "ask_ring_0", gate, at, 0, 1, rights)
        for address in (at, running.place.trampolines, running.place.constants):
            end = End(*_wrote(address), f"({EINVAL}|{ENOMEM}|0)\n")
            running.ends(end, "ask_ring_0", gate, address, 0, 1, RX, address)
        for address in (running.place.state, running.place.stack[0], running.place.supervisor):
            refused = End(0, "", f"({EINVAL}|{ENOMEM}|0)\nsurvived\n")
            running.ends(refused, "ask_ring_0", gate, address, 0, 1, RX)
            running.ends((fault(JUMPED, address),), "run", address)
        return
    execute = running.stub("mprotect", at, PAGE, RX)
    for rights in (0, 1, 2, 3, 4, 6, 7, 13, 1 << 24 | 5, 1 << 32 | 5):
        running.ends(KILLED, "jump_call", execute, number, at, PAGE, rights)
    for address in elsewhere(running):
        running.ends(KILLED, "jump_call", execute, number, address, PAGE, RX)


def test_reservations_are_no_memory(hostile: Arranging) -> None:
    """What is reserved is not there, before and after it has been."""
    for at in (RESERVE[0], RESERVE[0] + (1 << 40), RESERVE[1] - 8):
        hostile.ends(fault(WROTE, at), "poke", at)


def test_address_space(hostile: Arranging) -> None:
    """The host's own account: a limit below what is mapped, and never executable and writable."""
    guest = [str(hostile.made().path), "ready"]
    with subprocess.Popen(guest, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdin and running.stdout.readline() == b"ready\n"
        proc = Path(f"/proc/{running.pid}")
        limits = (proc / "limits").read_text()
        mapped = int((proc / "statm").read_text().split()[0]) * PAGE
        running.stdin.close()
        assert running.wait(10) == 0
    (line,) = (line for line in limits.splitlines() if line.startswith("Max address space"))
    assert line.split()[3:5] == ["0", "0"]
    assert mapped < MEMORY + (4 << 20)
