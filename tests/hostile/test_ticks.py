"""Hostile guests with threads: the tick, and the stub of the terminal, put to other uses."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from limpet.guests.linux.terminal import TERMINAL
from limpet.planning.regions import KVM_RUN_AT, MONITOR_BASE, MONITOR_SIZE
from tests.hostile.guest import JUMPED, MEMORY, End, Hostile, fault, source, stubs
from tests.hostile.test_calls import TIME_IS_UP
from tests.hostile.test_monitor import OUTSIDE, blocks
from tests.support.bundles import Made, Maker

KILLED, SURVIVED = End(159), End(0, "", "survived\n")
ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF = 0, 1, 2
ROUNDS = 150_000_000
"""Of a loop of two instructions: longer than a few ticks."""

PAUSE = 1_500_000_000
"""Cycles of the time stamp counter: longer than a busy machine lets a process wait, and shorter
than the two seconds for which one is stopped here."""


@dataclass(frozen=True)
class Threaded(Hostile):
    """The program of all attacks, and those that need threads."""

    @property
    def program(self) -> Path:
        """Both files as one program."""
        text = source().replace("int main(", "static int attacks_main(")
        text += "typedef uint32_t u32;\n" + (Path(__file__).parent / "ticks.c").read_text()
        return self.make.compile(text, "attack", "-O1")

    def stub(self, call: str, *numbers: int) -> int:
        """The address from which ``call`` may be made, found with numbers that do no harm."""
        for at in stubs(self):
            if self.run("jump_call", at, NUMBERS[call], *numbers).status == 0:
                return at
        raise AssertionError(call)


@dataclass(frozen=True)
class WithTerminal(Threaded):
    """Allowed to set the modes of its terminal."""

    def made(self, **options: Any) -> Made:
        """Its bundle."""
        return super().made(features=(TERMINAL,), **options)

    @property
    def plan(self) -> limpet.Plan:
        """The plan of the bundle."""
        options = limpet.Options((self.backend,), memory=MEMORY, features=(TERMINAL,))
        return limpet.plan(limpet.load(self.program), options)


@pytest.fixture
def hostile(make: Maker, backend: Backend) -> Threaded:
    """On each backend."""
    found = Threaded(make, backend)
    assert "tick" in {call.name for call in found.plan.hypercalls}
    return found


@pytest.fixture
def process(make: Maker) -> Threaded:
    """Where there are stubs."""
    return Threaded(make, "process")


def test_stub_of_the_tick(process: Threaded) -> None:
    """No other timer, so not the one of --timeout; no value but the monitor's; no old value."""
    number = NUMBERS["setitimer"]
    at = process.stub("setitimer", ITIMER_PROF, MONITOR_BASE)
    place = process.place
    for which in (ITIMER_REAL, ITIMER_VIRTUAL, 3, 1 << 32 | ITIMER_PROF, 2**64 - 1):
        process.ends(KILLED, "jump_call", at, number, which, MONITOR_BASE, 0)
    for value in (0, place.state, place.constants, place.arena[0], place.stack[0], 2**64 - 1):
        process.ends(KILLED, "jump_call", at, number, ITIMER_PROF, value, 0)
    for value in (MONITOR_BASE - 1, MONITOR_BASE + MONITOR_SIZE, KVM_RUN_AT, MONITOR_BASE + 2**32):
        process.ends(KILLED, "jump_call", at, number, ITIMER_PROF, value, 0)
    for old in (1, place.state, place.arena[0], MONITOR_BASE, 1 << 32):
        process.ends(KILLED, "jump_call", at, number, ITIMER_PROF, MONITOR_BASE, old)
    for other in ("timer_settime", "getitimer", "alarm", "rt_sigaction", "rt_sigprocmask"):
        process.ends(KILLED, "jump_call", at, NUMBERS[other], ITIMER_PROF, MONITOR_BASE, 0)


@pytest.mark.kvm
def test_port_of_the_tick(make: Maker) -> None:
    """Its block is in the library OS's data or nowhere, as those of other hypercalls."""
    hostile = Threaded(make, "kvm")
    (port,) = (call.port for call in hostile.plan.hypercalls if call.name == "tick")
    for at in blocks(hostile.place):
        hostile.ends(OUTSIDE, "one_port", 2, port, at)
    last = hostile.place.state_end - 64
    hostile.ends(End(0, "", "0 1 2 3\nsurvived\n"), "block", port, last, 9, 1, 2, 3)


@pytest.mark.kvm
def test_never_in_ring_0(make: Maker) -> None:
    """A tick that meets the code of ring 0 does not lead from there into code of the guest's."""
    hostile = Threaded(make, "kvm")
    place = hostile.place
    assert place.supervisor >= place.guest[1]  # which the one comparison relies on
    hostile.ends(SURVIVED, "faults_under_ticks", 3000)


ODD = (0, 8, 0x1234567, 1 << 63, 2**64 - 8, 0x7FFF_FFFF_FFF8, 1 << 47, KVM_RUN_AT + 256)
FLAGS = (0, 0x400, 0x40000, 0x200000, 0x8D5, 0x40C00, 0, 0x40400)


@pytest.mark.parametrize(("stack", "flags"), list(zip(ODD, FLAGS, strict=True)))
def test_odd_registers(hostile: Threaded, stack: int, flags: int) -> None:
    """Whatever RSP and the flags are when a tick comes, they come back."""
    hostile.ends(End(0, "", "ready\nsurvived\n"), "odd_registers", ROUNDS, stack, flags)


def test_forged_frame_of_a_tick(hostile: Threaded) -> None:
    """The way back from a tick loads what a guest could load itself: registers, with its rights."""
    text, kernel = hostile.place.text, 0xFFFF_FFFF_8100_0000
    if hostile.backend == "kvm":  # there are no signals, hence no such way
        pytest.skip("no frames")
    for target in (0, 0x1000, hostile.place.state, kernel):
        hostile.ends(fault(JUMPED, target), "forged_tick", text, 1 << 12, target, 0x3000)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["spin", "calls", "faults"])
def test_time_of_threads(hostile: Threaded, which: int) -> None:
    """--timeout ends threads that take turns, whatever they do."""
    ran = hostile.made(timeout=400).run("both", str(which), timeout=20)
    assert TIME_IS_UP.met(ran), ran


def test_time_when_ticks_are_put_off(hostile: Threaded) -> None:
    """Nor is there another end where ticks are asked for all the time."""
    if hostile.backend == "kvm":
        (port,) = (call.port for call in hostile.plan.hypercalls if call.name == "tick")
        words = ["ticks_at_port", str(port), str(hostile.place.state_end - 64)]
    else:
        at = hostile.stub("setitimer", ITIMER_PROF, MONITOR_BASE)
        words = ["ticks_at_stub", *map(str, (at, NUMBERS["setitimer"], ITIMER_PROF, MONITOR_BASE))]
    ran = hostile.made(timeout=400).run(*words, timeout=20)
    assert TIME_IS_UP.met(ran), ran


@pytest.mark.parametrize("blocked", [[], [signal.SIGPROF, signal.SIGALRM]], ids=["", "blocked"])
def test_time_comes_before_a_tick(hostile: Threaded, blocked: list[signal.Signals]) -> None:
    """A tick at the very moment of the alarm does not lead out of the alarm's handler."""
    command = [str(hostile.made(timeout=60_000).path), "pauses", str(PAUSE)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with running:
        assert running.stdout and running.stdout.readline() == b"ready\n"
        os.kill(running.pid, signal.SIGSTOP)
        os.waitpid(running.pid, os.WUNTRACED)
        time.sleep(2)  # which the guest feels
        os.kill(running.pid, signal.SIGALRM)
        os.kill(running.pid, signal.SIGPROF)
        os.kill(running.pid, signal.SIGCONT)
        _, stderr = running.communicate(timeout=20)
    assert (running.returncode, stderr.decode()) == (TIME_IS_UP.status, TIME_IS_UP.line)


def test_flood_of_ticks(hostile: Threaded) -> None:
    """Ticks that somebody on the host sends are ticks: the guest's result is the same."""
    command = [str(hostile.made().path), "odd_registers", str(ROUNDS), "0", "1024"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout and running.stdout.readline() == b"ready\n"
        sent = 0
        while running.poll() is None:
            os.kill(running.pid, signal.SIGPROF)
            sent += 1
            time.sleep(0.0005)
        assert running.stdout.read() == b"survived\n"
    assert running.returncode == 0 and sent > 10


def test_stub_of_the_terminal(make: Maker) -> None:
    """Four requests on three descriptors: no character is put into anybody's input."""
    hostile = WithTerminal(make, "process")
    assert TERMINAL in {call.name for call in hostile.plan.hypercalls}
    number, size, at = NUMBERS["ioctl"], 0x5413, hostile.place.state_end - 64
    found = hostile.stub("ioctl", 0, size, at)
    tiocsti, tcxonc, tcflsh, tiocsctty, fionbio, tiocsetd = (
        0x5412,
        0x540A,
        0x540B,
        0x540E,
        0x5421,
        0x5423,
    )
    others = (tiocsti, tcxonc, tcflsh, tiocsctty, fionbio, tiocsetd, 0x5401, 0x5405, 0x5414, 0x541C)
    for request in (*others, 0xAE80, 0, 1 << 32 | size, 1 << 63 | size, 2**64 - 1):
        for fd in (0, 1, 2):
            hostile.ends(KILLED, "jump_call", found, number, fd, request, at)
    for fd in (3, 4, 5, 16, 1 << 32, 1 << 63, 2**64 - 1):
        hostile.ends(KILLED, "jump_call", found, number, fd, size, at)
    for request in (0x5402, 0x5403, 0x5404, size):  # a pipe is no terminal
        hostile.ends(End(0, "", "-25\nsurvived\n"), "jump_call", found, number, 0, request, at)


@pytest.mark.kvm
def test_port_of_the_terminal(make: Maker) -> None:
    """The monitor answers for descriptors and requests that are none of its."""
    hostile = WithTerminal(make, "kvm")
    (port,) = (call.port for call in hostile.plan.hypercalls if call.name == TERMINAL)
    at = hostile.place.state_end - 128
    for fd in (3, 4, 5, 1 << 32, 1 << 63, 2**64 - 1):
        hostile.ends(End(0, "", "-9\nsurvived\n"), "terminal_block", port, at, fd, 0x5413)
    for fd in (0, 1):
        hostile.ends(End(0, "", "-25\nsurvived\n"), "terminal_block", port, at, fd, 0x5413)
    for request in (0x5412, 0x5401, 0x5423, 0xAE80, 1 << 32 | 0x5413, 0):
        hostile.ends(End(0, "", "-22\nsurvived\n"), "terminal_block", port, at, 0, request)
    for outside in blocks(hostile.place):
        hostile.ends(OUTSIDE, "one_port", 2, port, outside)
