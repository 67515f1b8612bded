"""Hostile guests that arrange their memory: no page more than at the start, none executable."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract.limits import PLACE_MOST
from limpet.guests.linux.layout import RESERVE
from limpet.planning.regions import MONITOR_BASE
from tests.hostile.guest import MEMORY, SOURCE, WROTE, End, Hostile, fault, instructions_h, stubs
from tests.support.bundles import Maker

THREADS = """
#include <pthread.h>
static void *nothing(void *x) { return x; }
__attribute__((used)) static int start(void) {
    pthread_t thread;
    return pthread_create(&thread, 0, nothing, 0);
}
"""

KILLED, PAGE, RW = End(159), 4096, 3
ENOMEM, EINVAL = -12, -22


@dataclass(frozen=True)
class Arranging(Hostile):
    """The same attacks in a program that starts threads, as a process."""

    @property
    def program(self) -> Path:
        """All attacks, and threads."""
        text = SOURCE.read_text().replace('#include "instructions.h"', instructions_h())
        return self.make.compile(text + THREADS, "attack", "-O1")

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
