"""Everything that can wait: what ends the waiting, and what happens when nothing ever could."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support.bundles import Maker

DEADLOCK = 121

WAIT = r"""
#define _GNU_SOURCE
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static char bytes[70000];
int main(int argc, char **argv) {
    int fds[2], word = 0;
    unsigned long count = -2;
    sigset_t set;
    sigemptyset(&set);
    if (pipe(fds)) return 1;
    switch (atoi(argv[1])) {
    case 0: return (int)read(fds[0], bytes, 1);
    case 1: return write(fds[1], bytes, sizeof bytes) == sizeof bytes;
    case 2: socketpair(AF_UNIX, SOCK_STREAM, 0, fds); return (int)read(fds[0], bytes, 1);
    case 3: return (int)read(eventfd(0, 0), &count, 8);
    case 4: return (int)write(eventfd(1, 0), &count, 8);
    case 5: { struct pollfd p = {fds[0], POLLIN, 0}; return poll(&p, 1, -1); }
    case 6: return select(0, 0, 0, 0, 0);
    case 7: { struct epoll_event e; return epoll_wait(epoll_create1(0), &e, 1, -1); }
    case 8: return pause();
    case 9: return sigsuspend(&set);
    case 10: sigaddset(&set, SIGUSR1); return sigwaitinfo(&set, 0);
    case 11: return (int)syscall(SYS_futex, &word, FUTEX_WAIT, 0, 0, 0, 0);
    case 12: { struct pollfd p = {-1, POLLIN, 0}; return ppoll(&p, 1, 0, 0); }
    case 13: return writev(fds[1], (struct iovec[]){{bytes, 65536}, {bytes, 1}}, 2) > 0;
    }
    return 99;
}
"""

DEADLOCKS = {
    0: "input of a pipe that nobody else can write",
    1: "room in a pipe that nobody else can read",
    2: "what nobody else can send to its socket",
    3: "an event counter that nobody else can raise",
    4: "an event counter that nobody else can lower",
    5: "descriptors of which none can ever become ready",
    6: "descriptors of which none can ever become ready",
    7: "descriptors of which none can ever become ready",
    8: "a signal that nobody can send",
    9: "a signal that nobody can send",
    10: "a signal that nobody can send",
    11: "another thread, and has only one",
    12: "descriptors of which none can ever become ready",
    13: "room in a pipe that nobody else can read",
}


@pytest.fixture
def waits(make: Maker) -> Path:
    """A program that waits in each way there is."""
    return make.compile(WAIT, "waits")


@pytest.mark.parametrize("case", DEADLOCKS)
def test_deadlock(make: Maker, waits: Path, backend: Backend, case: int) -> None:
    """What can never end, ends the guest with one line and a status of its own."""
    ran = make(waits, backend).run(str(case))
    line = f"limpet: {waits.name} waits for {DEADLOCKS[case]}, backend {backend}\n"
    assert (ran.stderr.decode(), ran.status, ran.stdout) == (line, DEADLOCK, b"")


@pytest.mark.parametrize("case", DEADLOCKS)
def test_deadlock_is_one_on_linux(waits: Path, case: int) -> None:
    """Natively the same program hangs: nothing is reported that Linux would have ended."""
    with subprocess.Popen([waits, str(case)]) as native:
        with pytest.raises(subprocess.TimeoutExpired):
            native.wait(0.2)
        native.kill()


ENDS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static struct timespec start;
static void note(int number) { printf("handler %d\n", number); }
static long waited(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
}
#define SHOW(name, call) do { \
    clock_gettime(CLOCK_MONOTONIC, &start); \
    errno = 0; \
    long got = (call); \
    int why = errno; \
    long ms = waited(); \
    printf("%s %ld %d %s\n", name, got, why, ms < 20 ? "at once" : ms < 5000 ? "waited" : "late"); \
} while (0)
int main(void) {
    int fds[2], word = 0;
    struct timespec t = {0, 50000000}, left = {0, 0}, past = {1, 0};
    struct timeval v = {0, 50000};
    struct pollfd p = {0, POLLIN, 0};
    struct epoll_event e = {EPOLLIN, {0}};
    fd_set readers;
    sigset_t set, none;
    pipe(fds);
    p.fd = fds[0];
    SHOW("nanosleep", nanosleep(&t, &left));
    SHOW("past", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, 0));
    SHOW("poll", poll(&p, 1, 50));
    SHOW("poll once", poll(&p, 1, 0));
    SHOW("ppoll", ppoll(&p, 1, &t, 0));
    FD_ZERO(&readers);
    FD_SET(fds[0], &readers);
    SHOW("select", select(fds[0] + 1, &readers, 0, 0, &v));
    int epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &e);
    SHOW("epoll", epoll_wait(epoll, &e, 1, 50));
    SHOW("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, 0, 0));
    SHOW("futex past", syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &past, 0, -1));
    SHOW("futex other", syscall(SYS_futex, &word, FUTEX_WAIT, 1, 0, 0, 0));
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    signal(SIGUSR1, note);
    sigprocmask(SIG_BLOCK, &set, 0);
    SHOW("sigtimedwait", sigtimedwait(&set, 0, &t));
    raise(SIGUSR1);
    SHOW("sigtimedwait sent", sigtimedwait(&set, 0, &t));
    raise(SIGUSR1);
    SHOW("sigsuspend", sigsuspend(&none));
    raise(SIGUSR1);
    SHOW("nanosleep blocked", nanosleep(&t, &left));
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    char byte;
    SHOW("empty pipe", read(fds[0], &byte, 1));
    write(fds[1], "x", 1);
    SHOW("poll ready", poll(&p, 1, -1));
    SHOW("epoll ready", epoll_wait(epoll, &e, 1, -1));
    SHOW("input first", (p.fd = 0, poll(&p, 1, 10000)));
    SHOW("input", read(0, &byte, 1));
    SHOW("input last", read(0, &byte, 1));
    return 0;
}
"""


def _fed(path: Path, name: str) -> bytes:
    """What it prints when its input comes after 0.7 s."""
    with subprocess.Popen(
        [name], executable=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}
    ) as process:
        assert process.stdin and process.stdout
        time.sleep(0.7)
        process.stdin.write(b"i")
        process.stdin.close()
        output = process.stdout.read()
        assert process.wait(30) == 0
    return output


def test_what_ends_it(make: Maker, backend: Backend) -> None:
    """Deadlines, readiness and signals end each kind of waiting as they do on Linux."""
    program = make.compile(ENDS, "ends")
    expected = _fed(program, "ends")
    assert expected.count(b" waited\n") >= 9
    assert _fed(make(program, backend).path, "ends") == expected


CAT = r"""
static long call(long number, long fd, void *bytes, long size) {
    __asm__ volatile("syscall" : "+a"(number)
                     : "D"(fd), "S"(bytes), "d"(size) : "rcx", "r11", "memory");
    return number;
}
int main(void) {
    static char bytes[4096];
    for (long got; (got = call(0, 0, bytes, sizeof bytes)) > 0;)
        call(1, 1, bytes, got);
    return 0;
}
"""


def test_input_needs_no_other_hypercall(make: Maker, backend: Backend) -> None:
    """The read itself waits: a program that only reads has no ``wait``, and gets its input."""
    program = make.compile(CAT, "cat")
    plan = limpet.plan(limpet.load(program), limpet.Options(backends=(backend,)))
    assert "wait" not in {call.name for call in plan.hypercalls}
    guest = make(program, backend)
    with subprocess.Popen(
        ["cat"], executable=guest.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        for piece in (b"first", b"second"):
            time.sleep(0.1)
            os.write(process.stdin.fileno(), piece)
            assert process.stdout.read(len(piece)) == piece
        process.stdin.close()
        assert process.wait(30) == 0


STATE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    char name[16] = "";
    long list[3] = {0}, *head = 0;
    unsigned long size = 0;
    stack_t stack;
    prctl(PR_SET_NAME, "a name of more than 15 bytes");
    prctl(PR_GET_NAME, name);
    printf("%s\n", name);
    printf("%ld %d\n", syscall(SYS_set_robust_list, list, 23), errno);
    printf("%ld ", syscall(SYS_set_robust_list, list, 24));
    printf("%ld ", syscall(SYS_get_robust_list, 0, &head, &size));
    printf("%d %lu ", head == list, size);
    printf("%d\n", syscall(SYS_set_tid_address, &size) == syscall(SYS_gettid));
    sigaltstack(0, &stack);
    printf("%d\n", stack.ss_flags);
    return 0;
}
"""


def test_state_of_the_thread(make: Maker, backend: Backend) -> None:
    """What Linux keeps for a thread: its name, robust list and alternate stack."""
    program = make.compile(STATE, "state")
    native = subprocess.run([program], capture_output=True, check=True).stdout
    ran = make(program, backend).run()
    assert (ran.stdout, ran.status) == (native, 0)
