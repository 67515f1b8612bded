"""A guest has the hypercalls that its system calls lead to: all of them, and no other."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support.bundles import Maker

HEAD = r"""
__asm__(".text\n.fill 256, 1, 0x90"); /* code is decoded from before a site on */
__attribute__((always_inline))
static inline long call(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
                     "r"(r9) : "rcx", "r11", "memory");
    return result;
}
enum { READ, WRITE, OPEN, IOCTL = 16, PREAD64 = 17, READV = 19, MMAP = 9, PAUSE = 34, FCNTL = 72,
       EXIT = 231, FUTEX = 202, PREADV = 295, POLL = 7 };
__attribute__((noreturn)) static void end(long code) {
    for (;;)
        call(EXIT, code, 0, 0, 0, 0, 0);
}
__attribute__((force_align_arg_pointer)) void _start(void) {
    static long value[64];
    (void)value;
"""
"""A program without a C library: it can make the system calls that its text names."""

ALWAYS = {"exit", "console_out"}

PROGRAMS = {
    "timed_wait": (
        "long time[2] = {0, 1000000};"
        "end(call(FUTEX, (long)value, 0, 0, (long)time, 0, 0) == -110 ? 7 : 1);",
        {"wait"},
    ),
    "bitset_wait": (
        "long time[2] = {0, 1000000};"
        "end(call(FUTEX, (long)value, 9, 0, (long)time, 0, -1) == -110 ? 7 : 1);",
        {"wait"},
    ),
    "wake": (
        "value[0] = call(FUTEX, (long)value, 0, 1, 0, 0, 0);"
        "end(value[0] == -11 && !call(FUTEX, (long)value, 0x81, 1, 0, 0, 0) ? 7 : 1);",
        set(),
    ),
    "late_wait": (
        "end(call(FUTEX, (long)value, 0, 1, (long)value, 0, 0) == -11 ? 7 : 1);",
        {"wait"},
    ),
    "random_vector": (
        "long at[2] = {(long)value, 32};"
        'long fd = call(OPEN, (long)"/dev/urandom", 0, 0, 0, 0, 0);'
        "end(call(PREADV, fd, (long)at, 1, 0, 0, 0) == 32 && value[0] | value[1] ? 7 : 1);",
        {"entropy"},
    ),
    "random_pages": (
        'long fd = call(OPEN, (long)"/dev/urandom", 0, 0, 0, 0, 0);'
        "end(call(MMAP, 0, 4096, 1, 2, fd, 0) == -19 ? 7 : 1);",  # ENODEV: it is no memory
        set(),
    ),
    "random_read": (
        'long fd = call(OPEN, (long)"/dev/random", 0, 0, 0, 0, 0);'
        "end(call(READ, fd, (long)value, 16, 0, 0, 0) == 16 ? 7 : 1);",
        {"entropy", "console_in"},
    ),
    "read": ("end(call(READ, 0, (long)value, 16, 0, 0, 0) == 0 ? 7 : 1);", {"console_in"}),
    "read_at": ("end(call(PREAD64, 0, (long)value, 16, 0, 0, 0) == -29 ? 7 : 1);", set()),
    "write": ('end(call(WRITE, 1, (long)"", 0, 0, 0, 0) == 0 ? 7 : 1);', set()),
    "terminal": (
        "end(call(READ, 0, (long)value, 16, 0, 0, 0) + call(IOCTL, 0, 0x5413, (long)value, 0, 0, 0)"
        " == -25 ? 7 : 1);",
        {"console_in"},
    ),
    "open_and_ask": (
        'end(call(OPEN, (long)"/dev/null", 0, 0, 0, 0, 0) == 3'
        " && call(FCNTL, 3, 4, 0x800, 0, 0, 0) == 0 ? 7 : 1);",
        set(),
    ),
    "poll": ("end(call(POLL, (long)value, 0, 0, 0, 0, 0) == 0 ? 7 : 1);", {"wait"}),
}
"""Each ends with 7, and what it needs beside what every guest has."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_needs(make: Maker, backend: Backend, name: str) -> None:
    """Nothing more than it needs is in the plan, and with that it works."""
    body, needed = PROGRAMS[name]
    program = make.compile(f"{HEAD}{body}\n}}", f"least_{name}", "-nostdlib")
    plan = limpet.plan(limpet.load(program), limpet.Options(backends=(backend,)))
    assert {call.name for call in plan.hypercalls} - ALWAYS == needed
    ran = make(program, backend).run()
    assert (ran.status, ran.stderr) == (7, b"")


def test_timed_wait_takes_its_time(make: Maker, backend: Backend) -> None:
    """A futex waits as long as it is told, in a program that never asks what time it is."""
    body = (
        "long time[2] = {0, 300000000};"
        "end(call(FUTEX, (long)value, 0x80, 0, (long)time, 0, 0) == -110 ? 7 : 1);"
    )
    made = make(make.compile(f"{HEAD}{body}\n}}", "waits_long", "-nostdlib"), backend)
    start = time.monotonic()
    assert made.run().status == 7
    assert time.monotonic() - start >= 0.3


def test_pause_needs_no_clock(make: Maker, backend: Backend) -> None:
    """What only ends the guest needs no hypercall but those that end it."""
    program = make.compile(
        f"{HEAD}call(PAUSE, 0, 0, 0, 0, 0, 0); end(1);\n}}", "pause", "-nostdlib"
    )
    plan = limpet.plan(limpet.load(program), limpet.Options(backends=(backend,)))
    assert {call.name for call in plan.hypercalls} == ALWAYS
    ran = make(program, backend).run()
    assert (ran.status, b"nobody can send" in ran.stderr) == (121, True)


NONBLOCKING = {
    "ioctl": "int one = 1; call(IOCTL, 0, 0x5421, (long)&one, 0, 0, 0);",
    "fcntl": "call(FCNTL, 0, 4, 0x800, 0, 0, 0);",
}


@pytest.mark.parametrize("how", NONBLOCKING)
def test_read_that_may_not_wait(make: Maker, backend: Backend, how: str) -> None:
    """Whichever call sets O_NONBLOCK, a read of empty input gives EAGAIN, clock or not."""
    body = (
        f"{NONBLOCKING[how]} long at[2] = {{(long)value, 8}};"
        "end(call(READ, 0, (long)value, 8, 0, 0, 0) == -11"
        " && call(READV, 0, (long)at, 1, 0, 0, 0) == -11 ? 7 : 1);"
    )
    program = make.compile(f"{HEAD}{body}\n}}", f"nonblocking_{how}", "-nostdlib")
    plan = limpet.plan(limpet.load(program), limpet.Options(backends=(backend,)))
    assert {call.name for call in plan.hypercalls} - ALWAYS == {"console_in", "wait"}
    assert run_with_open_input(make(program, backend).path) == 7


def run_with_open_input(path: Path) -> int:
    """The exit status of a bundle whose input has nothing yet, and does not end."""
    with subprocess.Popen([path], stdin=subprocess.PIPE) as started:
        return started.wait(timeout=30)


def test_devices_bring_what_is_used(make: Maker, backend: Backend) -> None:
    """A disk that is only read brings no hypercall that writes to it."""
    body = (
        'long fd = call(OPEN, (long)"/dev/data", 0, 0, 0, 0, 0);'
        "end(call(PREAD64, fd, (long)value, 512, 0, 0, 0) == 512 ? 7 : 1);"
    )
    program = make.compile(f"{HEAD}{body}\n}}", "reads_disk", "-nostdlib")
    options = limpet.Options(backends=(backend,), devices=("block:data", "net:wire"))
    plan = limpet.plan(limpet.load(program), options)
    assert {call.name for call in plan.hypercalls} - ALWAYS == {"block_read", "entropy"}
