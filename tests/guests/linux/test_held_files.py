"""Waiting for files: locks that are held, and who ends that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support.bundles import Maker, execute

DEADLOCK = 121

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int one, two, kind;
static struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 5};
static volatile int released;

static int lock(int fd) {
    range.l_type = F_WRLCK;
    return kind ? fcntl(fd, F_OFD_SETLKW, &range) : flock(fd, LOCK_EX);
}

static void unlock(int fd) {
    range.l_type = F_UNLCK;
    kind ? fcntl(fd, F_OFD_SETLK, &range) : flock(fd, LOCK_UN);
}

static void *wait_for_it(void *arg) {
    int result = lock(two);
    printf("%d after %s release: %d\n", kind, released ? "the" : "no", result);
    unlock(two);
    return arg;
}

int main(int argc, char **argv) {
    one = open("/tmp/held", O_RDWR | O_CREAT, 0600), two = open("/tmp/held", O_RDWR);
    setvbuf(stdout, NULL, _IONBF, 0);
    switch (argc > 1 ? atoi(argv[1]) : -1) {
    case 0: lock(one); return lock(two);
    case 1: kind = 1; lock(one); return lock(two);
    }
    for (kind = 0; kind < 2; kind++) {
        pthread_t thread;
        lock(one);
        released = 0;
        pthread_create(&thread, NULL, wait_for_it, NULL);
        usleep(20000);
        released = 1;
        unlock(one);
        pthread_join(thread, NULL);
        lock(one);
        printf("%d\n", kind ? fcntl(two, F_OFD_SETLK, &range) : flock(two, LOCK_EX | LOCK_NB));
        close(one);
        printf("%d\n", kind ? fcntl(two, F_OFD_SETLK, &range) : flock(two, LOCK_EX | LOCK_NB));
        unlock(two);
        one = open("/tmp/held", O_RDWR);
    }
    return 0;
}
"""

DEADLOCKS = {
    0: "a lock of a file that nobody else can release",
    1: "a lock of a file that nobody else can release",
}


@pytest.fixture(scope="module")
def program(make: Maker) -> Path:
    """With threads, and static."""
    return make.compile(SOURCE, "held", "-static", "-pthread", compiler="gcc")


def test_another_thread_ends_it(
    make: Maker, backend: Backend, program: Path, tmp_path: Path
) -> None:
    """Who waits goes on when another thread unlocks, as on Linux."""
    if os.geteuid():
        pytest.skip("*** comparing with a chroot needs root ***")
    (tmp_path / "tmp").mkdir()
    shutil.copy(program, tmp_path / "held")
    native = execute(["chroot", str(tmp_path), "/held"], Path("/usr/sbin/chroot"))
    assert native.stdout.count(b"after the release: 0") == 2
    assert make(program, backend).run() == native


@pytest.mark.parametrize("case", DEADLOCKS)
def test_nobody_ends_it(make: Maker, backend: Backend, program: Path, case: int) -> None:
    """With one thread it is a deadlock, and the guest ends with what it waits for."""
    ran = make(program, backend).run(str(case))
    assert ran.status == DEADLOCK
    assert DEADLOCKS[case].encode() in ran.stderr


CLOSED = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int ends[2], kind, first;
static long got;

static void *wait_for_it(void *arg) {
    char bytes[8] = {0};
    struct epoll_event event = {0};
    got = kind < 2 ? read(ends[0], bytes, kind ? 8 : 3) : epoll_wait(ends[0], &event, 1, -1);
    first = bytes[0] + (int)event.events;
    return arg;
}

/* Takes the memory that a closed file had. */
static void fill(void) {
    for (int i = 0; i < 40; i++)
        eventfd(0x6666, 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IONBF, 0);
    for (kind = 0; kind < 3; kind++) {
        pthread_t thread;
        struct epoll_event event = {.events = EPOLLIN};
        int other = eventfd(0, 0);
        if (kind == 0)
            pipe(ends);
        else if (kind == 1)
            ends[0] = eventfd(0, 0), ends[1] = dup(ends[0]);
        else
            ends[0] = epoll_create1(0), ends[1] = other,
            epoll_ctl(ends[0], EPOLL_CTL_ADD, other, &event);
        pthread_create(&thread, NULL, wait_for_it, NULL);
        usleep(30000);
        close(ends[0]);
        fill();
        printf("%d sent %ld\n", kind, (long)write(ends[1], "\1\0\0\0\0\0\0\0", kind ? 8 : 3));
        pthread_join(thread, NULL);
        printf("%d got %ld %d\n", kind, got, first);
        long again = write(ends[1], "\1\0\0\0\0\0\0\0", kind ? 8 : 3);
        printf("%d again %ld %s\n", kind, again, again < 0 ? strerror(errno) : "");
    }
    return 0;
}
"""


def test_another_thread_closes_it(make: Maker, backend: Backend) -> None:
    """What a thread waits for stays until its call ends, whoever closes the descriptor."""
    program = make.compile(CLOSED, "closed", "-static", "-pthread", compiler="gcc")
    native = execute(["closed"], program)
    assert (native.status, native.stdout.count(b"\n")) == (0, 9)
    assert make(program, backend).run() == native
