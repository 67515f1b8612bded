"""Readiness against the kernel: random sequences of calls over what can be waited for.

The program is that of ``test_differential.py``.  Pipes, socket pairs, event counters, timers and
signals as descriptors, and epolls of all of them, nested too, are written, read, duplicated, closed
and asked in every way; each result, event, set and time left has to be the kernel's.

Left out, since it differs on purpose:

- signals and timers that would end a wait: nothing here waits, every time to wait is zero
- sockets of messages without a connection: which refusal is an edge depends on the kernel
- ``select`` beyond the descriptors there are: Linux looks only as far as its table has grown
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import strategies as st

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from tests.support.bundles import Maker, execute
from tests.support.same_calls import Line, Sequences, check_all, program_of, story

pytestmark = pytest.mark.slow

NONBLOCK, CLOEXEC, DIRECT, ASYNC = os.O_NONBLOCK, os.O_CLOEXEC, os.O_DIRECT, os.O_ASYNC
IN, PRI, OUT, ERR, HUP, RDHUP = 1, 2, 4, 8, 16, 0x2000
NORMAL_IN, BAND_IN, NORMAL_OUT, BAND_OUT = 0x40, 0x80, 0x100, 0x200
EXCLUSIVE, WAKEUP, ONESHOT, EDGE = 1 << 28, 1 << 29, 1 << 30, 1 << 31
USR1, USR2, IO, REAL = 10, 12, 29, 40
PACKETS = 5 | NONBLOCK
"""Sockets of messages with a connection."""
BLOCKED = (1 << USR1 - 1) | (1 << USR2 - 1) | (1 << IO - 1) | (1 << REAL - 1)


def each(*values: int) -> Line:
    """An integer out of ``values``."""
    return st.sampled_from([f"i{value}" for value in values])


fd = each(*range(9), *range(9), *range(9), 20, -1)
wanted = st.builds(
    lambda base, extra, data: f"E{base | extra},{data}",
    st.sampled_from([IN, IN, OUT, IN | OUT, NORMAL_IN, NORMAL_OUT, IN | RDHUP, PRI, HUP, 0]),
    st.sampled_from([0, 0, 0, EDGE, EDGE, EDGE, ONESHOT, EDGE | ONESHOT, EXCLUSIVE, WAKEUP]),
    st.integers(1, 99),
)
asked = st.sampled_from([0, IN, OUT, IN | OUT, NORMAL_IN | BAND_IN, NORMAL_OUT | BAND_OUT, RDHUP])
polled = st.lists(st.tuples(st.sampled_from([*range(9), -1, 20]), asked), max_size=4).map(
    lambda some: f"P{','.join(f'{a},{b}' for a, b in some)} i{len(some)}"
)
chosen = st.lists(st.integers(0, 7), max_size=4, unique=True).map(
    lambda some: f"Q{','.join(map(str, some))}"
)
operation = each(1, 1, 1, 1, 2, 3, 3, 3, 9)
sizes = [0, 1, 8, 100, 4000, 4096, 4097, 8192, 60000, 65536, 70000]
mask = st.sampled_from([f"M{m}" for m in (0, BLOCKED, 1 << USR1 - 1, 1 << REAL - 1)])
ODD = ["I1000,0,2000,7", "I0,0,-1,0", "I0,1000000000,1,0"]
spec = st.sampled_from(
    ["I0,0,0,0", "I0,0,0,1", "I0,0,1000,0", "I1000,0,0,1", "I5,0,0,1000000000", "I-1,0,1,0", *ODD]
)

spliced = each(0, 1, 8, 100, 4096, 5000, 70000)

CALLS: dict[str, tuple[tuple[Line, ...], ...]] = {
    "pipe2": ((st.just("F"), each(NONBLOCK, NONBLOCK, NONBLOCK | DIRECT, NONBLOCK | 1)),),
    "socketpair": ((each(1), each(*[1 | NONBLOCK] * 3, PACKETS), each(0), st.just("F")),) * 2,
    "shutdown": ((fd, each(0, 1, 1, 2, 3, -1)),),
    "eventfd2": ((each(0, 0, 1, 7), each(NONBLOCK, NONBLOCK | 1, NONBLOCK | 2)),),
    "epoll_create1": ((each(0, 0, CLOEXEC, 1),),),
    "epoll_ctl": ((fd, operation, fd, wanted),) * 8,
    "epoll_wait": ((fd, st.just("G"), each(1, 2, 8, 8, 8, 0, -1), each(0)),) * 8,
    "epoll_pwait": ((fd, st.just("G"), each(8), each(0), mask, each(8, 8, 4)),),
    "epoll_pwait2": ((fd, st.just("G"), each(8), st.sampled_from(["W0,0", "W0,-1"])),),
    "read": ((fd, st.sampled_from(sizes).map(lambda n: f"r i{n}")),) * 5,
    "write": (
        *((fd, st.sampled_from(sizes).map(lambda n: f"w i{n}")),) * 3,
        *((fd, st.sampled_from([0, 1, 2, 2**64 - 2, 2**64 - 1]).map("N{} i8".format)),) * 3,
    ),
    "close": ((fd,),) * 3,
    "dup": ((fd,),),
    "dup2": ((fd, each(*range(9))),),
    "poll": ((polled, each(0)),) * 3,
    "ppoll": ((polled, st.sampled_from(["W0,0", "W0,-1", "W-1,0"]), mask, each(8, 8, 7, 0)),),
    "select": (
        (each(0, 3, 8, 8, 8, -1), chosen, chosen, chosen, st.sampled_from(["V0,0", "V0,-1"])),
    )
    * 2,
    "fcntl": (
        (fd, each(1032)),
        (fd, each(1031), each(0, 1, 4096, 5000, 65536, 131072, -1)),
        (fd, each(1, 3)),
        (fd, each(4), each(NONBLOCK | ASYNC, NONBLOCK | ASYNC, NONBLOCK)),
        (fd, each(8), st.just("p")),
        (fd, each(10), each(0, USR1, REAL)),
    ),
    "splice": ((fd, each(0), fd, each(0), spliced, each(2, 2, 2, 3, 0)),) * 3,
    "tee": ((fd, fd, spliced, each(2, 2, 2, 3, 0)),) * 2,
    "ioctl": ((fd, each(0x541B), st.just("O0")),),
    "timerfd_create": ((each(0, 1, 7, 1, 4, 99), each(NONBLOCK, NONBLOCK, NONBLOCK | 1)),),
    "timerfd_settime": ((fd, each(0, 0, 0, 1, 1, 2, 4), spec, st.sampled_from(["J", "i0"])),) * 2,
    "timerfd_gettime": ((fd, st.just("J")),),
    "signalfd4": ((each(-1, -1, -1, 3), mask, each(8, 8, 4), each(NONBLOCK, NONBLOCK | 1)),),
    "tgkill": ((st.just("p"), st.just("t"), each(USR1, USR2, REAL)),),
    "kill": ((st.just("p"), each(USR1, REAL)),),
    "rt_sigtimedwait": ((mask, each(0), st.just("W0,0"), each(8)),),
    "rt_sigpending": ((st.just("N0"), each(8)),),
}
TAKEN = ((fd, st.sampled_from(["K i128", "K i1280"])),)
"""Signals, read from a descriptor: their numbers are told, not their bytes."""


NEAR = [f"i{number}" for number in range(6)]
FEW = [1, 1, 8, 100, 4096, 65536]
EVENTS = [IN, IN, OUT, IN | OUT, HUP, NORMAL_IN, NORMAL_OUT]
POLLED = [f"P{fd_},{events}" for fd_ in range(6) for events in EVENTS]
HOW = [0, 0, EDGE, EDGE, ONESHOT, EDGE | ONESHOT]
WANTED = [f"E{base | how},{base + how % 89}" for base in EVENTS for how in HOW]
CORE: list[tuple[int, str, list[list[str]]]] = [
    (6, "epoll_wait", [NEAR, ["G"], ["i1", "i8", "i8"], ["i0"]]),
    (2, "epoll_ctl", [NEAR, ["i1", "i1", "i3"], NEAR, WANTED]),
    (3, "read", [NEAR, [f"r i{size}" for size in FEW]]),
    (3, "write", [NEAR, [f"w i{size}" for size in FEW]]),
    (2, "write", [NEAR, ["N1 i8"]]),
    (1, "timerfd_settime", [["i1"], ["i0"], ["I0,0,0,1", "I0,0,0,0"], ["i0"]]),
    (1, "splice", [NEAR, ["i0"], NEAR, ["i0"], [f"i{size}" for size in FEW], ["i2"]]),
    (1, "tee", [NEAR, NEAR, [f"i{size}" for size in FEW], ["i2"]]),
    (2, "poll", [POLLED, ["i1"], ["i0"]]),
    (1, "shutdown", [NEAR, ["i0", "i1", "i2"]]),
    (1, "close", [NEAR]),
    (1, "dup2", [NEAR, NEAR]),
]
"""What edges are made of, among few descriptors: most of these calls do something."""


def dense_calls(seed: int) -> list[str]:
    """Some of them by chance alone: Hypothesis likes what is small and what it had before."""
    chance = random.Random(seed)
    lines = []
    for _, name, choices in chance.choices(CORE, [each_[0] for each_ in CORE], k=60):
        lines.append(" ".join([str(NUMBERS[name]), *map(chance.choice, choices)]))
    return lines


def call_of(name: str, arguments: tuple[Line, ...]) -> Line:
    """Lines that ask for one system call."""
    return st.tuples(*arguments).map(lambda some: f"{NUMBERS[name]} {' '.join(some)}")


def any_of(calls: dict[str, tuple[tuple[Line, ...], ...]]) -> Line:
    """One of these calls."""
    return st.one_of([call_of(name, each_) for name, some in calls.items() for each_ in some])


call = st.one_of(any_of(CALLS), any_of(CALLS), call_of("read", TAKEN[0]))
OPENED = [
    [
        ["pipe2", "F", "i2048"],
        ["epoll_create1", "i0"],
        ["eventfd2", "i0", "i2048"],
        ["epoll_ctl", "i2", "i1", "i0", f"E{ONESHOT | IN},7"],
        ["epoll_ctl", "i2", "i1", "i3", f"E{ONESHOT | EDGE | IN},8"],
    ],
    [
        ["epoll_create1", "i0"],
        ["epoll_create1", "i0"],
        ["pipe2", "F", "i2048"],
        ["epoll_ctl", "i0", "i1", "i1", f"E{EDGE | IN},1"],
        ["epoll_ctl", "i1", "i1", "i2", f"E{EDGE | IN},2"],
    ],
    [
        ["epoll_create1", "i0"],
        ["timerfd_create", "i1", "i2048"],
        ["signalfd4", "i-1", f"M{BLOCKED}", "i8", "i2048"],
        ["eventfd2", "i1", "i2049"],
        ["epoll_ctl", "i0", "i1", "i1", f"E{EDGE | IN},3"],
        ["epoll_ctl", "i0", "i1", "i2", f"E{IN},4"],
    ],
    [
        ["pipe2", "F", "i2048"],
        ["epoll_create1", "i0"],
        ["dup", "i0"],
        ["epoll_ctl", "i2", "i1", "i0", f"E{IN},5"],
        ["epoll_ctl", "i2", "i1", "i1", f"E{EDGE | OUT},6"],
    ],
    [
        ["socketpair", "i1", f"i{1 | NONBLOCK}", "i0", "F"],
        ["epoll_create1", "i0"],
        ["epoll_ctl", "i2", "i1", "i0", f"E{EDGE | IN | OUT},9"],
        ["epoll_ctl", "i2", "i1", "i1", f"E{EDGE | OUT | RDHUP},10"],
    ],
    [
        ["socketpair", "i1", f"i{PACKETS}", "i0", "F"],
        ["epoll_create1", "i0"],
        ["epoll_ctl", "i2", "i1", "i0", f"E{EDGE | IN | RDHUP},9"],
        ["epoll_ctl", "i2", "i1", "i1", f"E{EDGE | OUT},10"],
    ],
    [
        ["pipe2", "F", "i2048"],
        ["pipe2", "F", f"i{NONBLOCK | DIRECT}"],
        ["epoll_create1", "i0"],
        ["epoll_ctl", "i4", "i1", "i2", f"E{EDGE | IN},7"],
        ["epoll_ctl", "i4", "i1", "i1", f"E{EDGE | OUT},8"],
    ],
]
"""How sequences start, so that most of their calls find something."""

opened = st.sampled_from(
    [[" ".join([str(NUMBERS[name]), *rest]) for name, *rest in some] for some in OPENED]
)
wide = st.lists(call, min_size=12, max_size=60)
dense = st.integers(0, 1 << 32).map(dense_calls)
sequence = st.builds(list.__add__, opened, st.one_of(wide, dense))
sequences = st.lists(sequence, min_size=1, max_size=8)
BLOCK = f"{NUMBERS['rt_sigprocmask']} i2 M{BLOCKED} i0 i8"


@pytest.fixture(scope="module")
def program(make: Maker) -> Path:
    """It makes the calls of its input."""
    return program_of(make)


EXAMPLES = {"process": 80, "kvm": 12}


@pytest.mark.parametrize("backend", ["kvm", "process"])
def test_same_as_the_kernel(make: Maker, backend: Backend, program: Path) -> None:
    """Any sequence of calls gives the same results and events."""
    made = make(program, backend)

    def compare(some: Sequences) -> None:
        lines = [line for each_ in some for line in ("= /", BLOCK, *each_)]
        text = "".join(f"{line}\n" for line in lines).encode()
        native, ours = execute(["calls"], program, text), made.run(stdin=text)
        if native.stdout != ours.stdout or native.status or ours.status:
            pytest.fail(story(lines, native, ours))

    check_all(compare, sequences, EXAMPLES[backend])
