"""Pseudo-terminals of a program's own, beside Linux."""

from __future__ import annotations

from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support import SUPPORT
from tests.support.bundles import Maker, Ran, execute

SOURCE = (SUPPORT / "programs" / "pty.c").read_text(encoding="utf-8")
ATTEMPTS = 3
"""Linux hands on what is typed a little later: on a busy host later than the program waits."""


@pytest.fixture(scope="module")
def program(make: Maker) -> Path:
    """What it does, a case after the other."""
    return make.compile(SOURCE, "pty", "-O1", "-w", "-static", "-pthread", compiler="gcc")


@pytest.fixture(scope="module")
def ran(make: Maker, program: Path) -> dict[Backend, Ran]:
    """Once in a guest, on each backend as it is asked for."""
    return {}


def test_as_on_linux(make: Maker, program: Path, ran: dict[Backend, Ran], backend: Backend) -> None:
    """Lines and their keys, characters, output, sizes, signals, both ends, and who waits."""
    done = ran.setdefault(backend, make(program, backend, memory=64 << 20).run())
    assert (done.status, done.stderr) == (0, b"")
    said = done.stdout.decode().splitlines()
    assert len(said) > 60
    for _ in range(ATTEMPTS):
        native = execute(["pty"], program).stdout.decode().splitlines()
        if native == said:
            return
    assert said == native


KEYS = """
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utmp.h>
static volatile int seen[32];
static void caught(int number) { seen[number] = 1; }
int main(void) {
    int master, slave;
    struct winsize size = {1, 2};
    openpty(&master, &slave, 0, 0, 0);
    for (int number = 1; number < 32; number++) signal(number, caught);
    setsid();
    printf("%d", ioctl(slave, TIOCSCTTY, 0));
    write(master, "\\3\\34\\32", 3);
    ioctl(master, TIOCSWINSZ, &size);
    ioctl(slave, TIOCGPGRP, &size);
    close(master);
    printf(" %d %d%d%d%d%d\\n", *(int *)&size == getpid(), seen[SIGINT], seen[SIGQUIT],
           seen[SIGTSTP], seen[SIGWINCH], seen[SIGHUP]);
    return 0;
}
"""


def test_keys_of_the_programs_own(make: Maker, backend: Backend) -> None:
    """Of the terminal that it has made its own they are signals, as is its size, and its end."""
    program = make.compile(KEYS, "keys", "-w", "-static", compiler="gcc")
    done = make(program, backend, memory=64 << 20).run()
    assert (done.stdout, done.stderr, done.status) == (b"0 1 11111\n", b"", 0)


def test_who_makes_none_has_nothing_of_it(make: Maker) -> None:
    """Only a program that names what makes them."""
    there = "const struct terminals *const guest_terminals = &own_terminals;"
    source = '#include <fcntl.h>\nint main(void) { return open("%s", 0) < 0; }'
    for name, has in (("/dev/ptmx", True), ("/dev/pts/0", False)):
        program = make.compile(source % name, "names")
        plan = limpet.plan(limpet.load(program), limpet.Options())
        assert (there in plan.sources["gates.c"]) == has
