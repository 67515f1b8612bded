"""Signals from outside: what a terminal, or a supervisor, sends reaches the program's handlers."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
from itertools import pairwise
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from limpet.guests.linux.terminal import TERMINAL
from tests.guests.linux.test_terminal import Terminal, terminal
from tests.support import SUPPORT
from tests.support.bundles import Maker

pytestmark = pytest.mark.slow

WAYS = ("read", "poll", "sleep", "pause", "compute", "again", "size")
INTERRUPT = b"\x03"
MINUTE = 60
LATE = 5


@pytest.fixture(scope="module")
def program(make: Maker) -> Path:
    """It says what it hears."""
    return make.compile((SUPPORT / "programs" / "outside.c").read_text(encoding="utf-8"), "outside")


@pytest.fixture
def bundle(make: Maker, program: Path, backend: Backend) -> Path:
    """With --tty."""
    return make(program, backend, features=(TERMINAL,)).path


TRIES = 60
"""Reads, or keys that were not heard, after which it hangs."""


def told(on: Terminal) -> bytes:
    """What it says while somebody types ^C and makes the window smaller."""
    said = b""
    for way, then in pairwise(WAYS):
        while f"\n{way}?\r\n".encode() not in b"\n" + said:
            said += on.reads()
        on.type(INTERRUPT)
        if way == "again":
            on.type(b"x\n")
        for _ in range(TRIES):
            if f"\n{then}?\r\n".encode() in said:
                break
            if on.says(LATE):
                said += on.reads()
            else:  # it came before the wait began
                on.type(INTERRUPT)
        else:
            pytest.fail(f"^C was not heard: {said!r}")
    termios.tcsetwinsize(on.side, (12, 34))
    return said.replace(b"^C", b"") + on.until(b"size 12 0 heard 28 code 128\r\n")


def test_handlers_hear(program: Path, bundle: Path) -> None:
    """Waiting in every way and computing, as on Linux."""
    with terminal(program) as native:
        expected = told(native)
    with terminal(bundle) as ours:
        assert told(ours) == expected
        assert ours.process.wait(MINUTE) == 0


@pytest.mark.parametrize("way", ["w", "c"])
def test_without_a_handler_it_ends(bundle: Path, way: str) -> None:
    """^C ends a program that has none, whether it waits or computes."""
    with terminal(bundle, way) as on:
        on.until(b"ready?\r\n")
        on.type(INTERRUPT)
        assert on.process.wait(MINUTE) == 128 + signal.SIGINT


def test_what_it_ignores(bundle: Path) -> None:
    """^C has no effect on a program that ignores it; ^\\ ends it as ever."""
    with terminal(bundle, "i") as on:
        on.until(b"ready?\r\n")
        on.type(INTERRUPT)
        with pytest.raises(subprocess.TimeoutExpired):
            on.process.wait(0.3)
        on.type(b"\x1c")
        assert on.process.wait(MINUTE) == 128 + signal.SIGQUIT


SERVES = r"""
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static volatile int last;
static void hear(int number) { last = number; }
int main(void) {
    sigset_t all, none;
    signal(SIGTERM, hear);
    signal(SIGHUP, hear);
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &all, NULL);
    puts("up");
    fflush(stdout);
    while (!last)
        sigsuspend(&none);
    return printf("down %d\n", last) < 0;
}
"""


def test_a_supervisor_is_heard(make: Maker, backend: Backend) -> None:
    """Without a terminal where it is asked for."""
    path = make(make.compile(SERVES, "serves"), backend, features=("signals",)).path
    with subprocess.Popen([path], stdout=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stdout.readline() == b"up\n"
        os.kill(started.pid, signal.SIGTERM)
        assert started.stdout.read() == b"down 15\n"
        assert started.wait(MINUTE) == 0


def test_what_its_starter_ignores(make: Maker, backend: Backend) -> None:
    """As under nohup: that is not heard."""
    path = make(make.compile(SERVES, "serves"), backend, features=("signals",)).path
    with subprocess.Popen(["nohup", path], stdout=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stdout.readline() == b"up\n"
        os.kill(started.pid, signal.SIGHUP)
        os.kill(started.pid, signal.SIGTERM)
        assert started.stdout.read() == b"down 15\n"


def test_nothing_of_it_elsewhere(program: Path, backend: Backend) -> None:
    """Who does not ask for it has neither the hypercall nor the descriptor."""
    plan = limpet.plan(limpet.load(program), limpet.Options(backends=(backend,)))
    assert "attend" not in {call.name for call in plan.hypercalls}
    assert "signalfd4" not in plan.sources["host_numbers.h"].lower()
