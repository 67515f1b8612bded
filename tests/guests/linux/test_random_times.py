"""Times against the kernel: random calls about timers, alarms, clocks and sleeping.

The program is that of ``test_differential.py``, one sequence of calls a run.  What rings does so at
once or not at all: when a moment comes is tried in ``test_timers.py``.  What is left of a time is
compared in seconds that have begun.

Left out, since it cannot be equal:

- timers of processor time: Linux counts it by its ticks
- the clocks that wake a machine: whether a host has them
- what a clock's resolution is
- a timer that tells nobody (`SIGEV_NONE`) and was stopped: Linux says what was left before
- times of more than 136 years, which are that long
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support.bundles import Maker, execute
from tests.support.same_calls import program_of, story

pytestmark = pytest.mark.slow

ALARM, USR1, USR2, PROF, VIRTUAL, REAL = 14, 10, 12, 27, 26, 40
SIGNALS = (ALARM, USR1, USR2, PROF, VIRTUAL, REAL)
BLOCKED = sum(1 << number - 1 for number in SIGNALS)
BAD = "i8"
"""A pointer to nothing."""

CLOCKS = ["i0", "i0", "i1", "i1", "i7", "i11", "i4", "i5", "i6", "i12", "i10", "i99", "i-1"]
CLOCKS += ["i4294967296", "i-5", "i-12345678"]
OWN = ["i2", "i3", "i-2", "i-6", "i-14", "i-3", "i-7", "i-8", "i-4"]
"""Clocks of processor time: the process's, the thread's, and both by numbers."""

ID = ["i0", "i0", "i1", "i1", "i2", "i3", "i4", "i9", "i-1", "i4294967296"]
LATER = ["I0,0,100,0", "I5,7,200,999999999", "I0,0,4000000000,0", "I1000,0,3,0"]
AT_ONCE = ["I0,0,0,1", "I1000,0,0,1", "I0,0,0,0", "I7,0,0,0"]
NEVER = ["I0,0,0,1000000000", "I0,-1,1,0", "I-1,0,1,0", "I0,1000000000,0,0", "I0,0,-1,0", BAD, "i0"]
LONG_AGO = ["I0,0,0,1", "I0,0,0,1", "I0,0,1,0", "I0,0,0,0", *NEVER]
"""As moments: an interval from there on would be where the clock just is."""

SPEC = [*LATER, *LATER, *AT_ONCE, *AT_ONCE, *NEVER]
A_MICROSECOND = "I0,0,0,1"
VALUE = [A_MICROSECOND, "I0,0,100,0", "I5,7,4000000000,999999", "I0,0,0,0", "I7,0,0,0"]
VALUE += ["I0,0,1,1000000", "I0,-1,1,0", "I-1,0,1,0", "I0,0,0,0", "i0", BAD]
BEFORE = ["J", "J", "J", "i0", BAD]
NOW = ["W0,0", "W0,1", "W0,-1", "W-1,0", "W0,1000000000", "W0,1152921504606846976", BAD, "i0"]
PAST = ["W1,0", "W1,999999999", "W0,0", "W1,1000000000", "W-5,0", BAD]
MASK = [f"M{BLOCKED}", f"M{1 << REAL - 1}", f"M{1 << ALARM - 1}", f"M{1 << USR1 - 1}"]


def event(notify: int, signal: int, value: int) -> str:
    """A struct sigevent."""
    return f"n{value},{signal | notify << 32},1"


EVENTS = [event(0, USR1, 5), event(0, REAL, 6), event(0, REAL, 7)]
EVENTS += [
    event(0, 0, 1),
    event(0, 65, 1),
    event(77, USR1, 1),
    event(3, USR1, 1),
    event(2, USR2, 8),
]
EVENTS += ["i0", "i0", BAD]

CALLS: list[tuple[int, str, list[list[str]]]] = [
    (6, "timer_create", [CLOCKS, EVENTS, ["N0", "N0", "N0", "N0", BAD]]),
    (8, "timer_settime", [ID, ["i0", "i0", "i0", "i1", "i2", "i4294967296"], SPEC, BEFORE]),
    (5, "timer_gettime", [ID, BEFORE]),
    (2, "timer_getoverrun", [ID]),
    (2, "timer_delete", [ID]),
    (3, "alarm", [["i0", "i0", "i5", "i100", "i-1", "i2147483648", "i4294967301"]]),
    (4, "setitimer", [["i0", "i0", "i1", "i2", "i3", "i-1", "i4294967296"], VALUE, BEFORE]),
    (4, "getitimer", [["i0", "i0", "i1", "i2", "i3", "i-1", "i4294967296"], BEFORE]),
    (4, "rt_sigtimedwait", [MASK, ["i0"], ["W0,0"], ["i8"]]),
    (2, "rt_sigpending", [["N0"], ["i8", "i8", "i4", "i9"]]),
    (1, "read", [["i0"], ["K i1280"]]),
    (2, "clock_gettime", [[*CLOCKS, *OWN], [BAD, "i0"]]),
    (2, "clock_getres", [[*CLOCKS, *OWN], ["i0", "i0", BAD]]),
    (2, "clock_nanosleep", [CLOCKS, ["i0", "i0", "i2"], NOW, ["i0", BAD]]),
    (2, "clock_nanosleep", [CLOCKS, ["i1"], PAST, ["i0", BAD]]),
    (1, "nanosleep", [NOW, ["i0", BAD]]),
    (1, "gettimeofday", [[BAD, "i0"], ["i0", BAD]]),
    (1, "time", [[BAD]]),
    (1, "timerfd_create", [CLOCKS, ["i0", "i2048", "i524288", "i1"]]),
    (2, "timerfd_settime", [["i1", "i2"], ["i0", "i0", "i1", "i2", "i3", "i4"], SPEC, BEFORE]),
    (2, "timerfd_gettime", [["i1", "i2", "i0", "i-1"], BEFORE]),
]
FIRST = [
    ["rt_sigprocmask", "i2", f"M{BLOCKED}", "i0", "i8"],
    ["signalfd4", "i-1", f"M{BLOCKED}", "i8", "i2048"],
]
KINDS: list[list[list[str]]] = [
    [],
    [["timer_create", "i1", event(0, REAL, 3), "N0"], ["timer_create", "i0", "i0", "N0"]],
    [["timer_create", "i7", event(0, USR2, 0), "N0"], ["timerfd_create", "i1", "i2048"]],
    [["timerfd_create", "i0", "i2048"], ["timer_create", "i1", event(0, USR1, 4), "N0"]],
]


def calls(seed: int) -> list[str]:
    """Some of them by chance."""
    chance = random.Random(seed)
    some = [*FIRST, *chance.choice(KINDS)]
    for _, name, choices in chance.choices(CALLS, [each[0] for each in CALLS], k=80):
        given = list(map(chance.choice, choices))
        if name in ("timer_settime", "timerfd_settime") and int(given[1][1:]) & 1:
            given[2] = chance.choice(LONG_AGO)
        if name == "setitimer" and given[0] in ("i1", "i2"):
            given[1] = chance.choice(VALUE[3:])
        some.append([name, *given])
        if name == "setitimer" and given[1] == A_MICROSECOND:
            some.append(["nanosleep", "W0,50000", "i0"])
    return [" ".join([str(NUMBERS[name]), *rest]) for name, *rest in some]


@pytest.fixture(scope="module")
def program(make: Maker) -> Path:
    """It makes the calls of its input."""
    return program_of(make)


EXAMPLES = {"process": 60, "kvm": 8}


@pytest.mark.parametrize("backend", ["kvm", "process"])
def test_same_as_the_kernel(make: Maker, backend: Backend, program: Path) -> None:
    """Any sequence of calls gives the same results, errors, signals and times that are left."""
    made = make(program, backend)

    def compare(seed: int) -> None:
        lines = ["= /", *calls(seed)]
        text = "".join(f"{line}\n" for line in lines).encode()
        native, ours = execute(["calls"], program, text), made.run(stdin=text)
        if native.stdout != ours.stdout or native.status or ours.status:
            pytest.fail(story(lines, native, ours))

    first = random.randrange(1 << 32) if "LIMPET_EXAMPLES" in os.environ else 0
    for seed in range(first, first + int(os.environ.get("LIMPET_EXAMPLES", EXAMPLES[backend]))):
        compare(seed)
