"""Threads of a program, beside the same program on Linux."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support.bundles import BUSYBOX, Maker, execute, need
from tests.support.programs import HERE

CASES = (
    "mutex",
    "turns",
    "barrier",
    "rwlock",
    "semaphore",
    "handed",
    "closes",
    "local",
    "signals",
    "process-signals",
    "cancel",
    "robust",
    "inherit",
    "inherit-signal",
    "requeue-inherit",
    "timed",
    "late",
    "endings",
    "last",
    "hundreds",
    "arithmetic",
    "spinning",
    "registers",
    "futex",
    "flags",
    "clocks",
)

MEMORY = 512 << 20


@pytest.fixture(params=["musl", "glibc"])
def program(request: pytest.FixtureRequest, make: Maker) -> Path:
    """The cases, with each C library."""
    return threaded(make, request.param)


def threaded(make: Maker, library: str) -> Path:
    """The cases as a static program."""
    if library == "musl":
        return make.compile_folder(HERE / "threads")
    return make.compile_folder(HERE / "threads", "-static", "-pthread", compiler="gcc")


@pytest.mark.parametrize("case", CASES)
def test_as_on_linux(make: Maker, program: Path, backend: Backend, case: str) -> None:
    """The same output and status."""
    native = execute(["threads", case], program)
    assert native.stdout and not native.stderr
    ran = make(program, backend, memory=MEMORY).run(case)
    assert (ran.stdout.decode(), ran.stderr, ran.status) == (
        native.stdout.decode(),
        b"",
        native.status,
    )


@pytest.mark.parametrize("case", CASES)
def test_trapped(make: Maker, backend: Backend, case: str) -> None:
    """So they are where system calls trap."""
    program = threaded(make, "musl")
    ran = make(program, backend, memory=MEMORY, rewrite=False).run(case)
    native = execute(["threads", case], program)
    assert (ran.stdout.decode(), ran.status) == (native.stdout.decode(), native.status)


def test_beside_calls(make: Maker, backend: Backend) -> None:
    """A tick that meets the library OS, or its monitor, counts when the call ends."""
    ran = make(threaded(make, "musl"), backend, memory=MEMORY).run("calls")
    assert (ran.stdout, ran.stderr, ran.status) == (b"woken\n", b"", 0)


def test_by_time(make: Maker, backend: Backend) -> None:
    """Of those whose time has come the first is woken first, whichever began first."""
    ran = make(threaded(make, "musl"), backend, memory=MEMORY).run("by-time")
    assert (ran.stdout, ran.stderr, ran.status) == (b"0 1 2 3 4 5 6 7\n", b"", 0)


def test_with_avx(make: Maker, backend: Backend) -> None:
    """Of vector registers as much is kept as there is room for, whatever else a host's have."""
    program = threaded(make, "musl")
    for case in ("arithmetic", "signals"):
        ran = make(program, backend, memory=MEMORY, cpu="v3").run(case)
        native = execute(["threads", case], program)
        assert (ran.stdout, ran.stderr, ran.status) == (native.stdout, b"", native.status)


def test_ten_thousand(make: Maker, program: Path, backend: Backend) -> None:
    """All of them are there at once, and each has pages of its own."""
    ran = make(program, backend, memory=MEMORY).run("ten-thousand")
    assert (ran.stdout, ran.stderr, ran.status) == (b"10000 threads, 49995000\n", b"", 0)


def test_more_than_there_is_memory_for(make: Maker, backend: Backend) -> None:
    """Then the program is told, as Linux tells it of its limits."""
    ran = make(threaded(make, "musl"), backend, memory=16 << 20).run("ten-thousand")
    assert ran.status == 1
    assert b"pthread_create" in ran.stdout


STUCK = r"""
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>
static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static int pipes[2];
static void *both(void *p) {
    prctl(PR_SET_NAME, "worker");
    pthread_mutex_lock(&b);
    read(pipes[0], &p, 1);
    pthread_mutex_lock(&a);
    return p;
}
int main(int argc, char **argv) {
    pthread_t t;
    (void)argv;
    pipe(pipes);
    pthread_mutex_lock(&a);
    pthread_create(&t, 0, both, 0);
    while (pthread_mutex_trylock(&b) == 0)
        pthread_mutex_unlock(&b), usleep(1000);
    if (argc == 1)
        write(pipes[1], "x", 1);
    return pthread_mutex_lock(&b);
}
"""


@pytest.mark.parametrize("case", ["lock", "pipe"])
def test_deadlock_names_each(make: Maker, backend: Backend, case: str) -> None:
    """Natively it hangs; here it ends, and says for each thread what it waits for."""
    program = make.compile(STUCK, "stuck")
    arguments = [] if case == "lock" else ["pipe"]
    with subprocess.Popen([program, *arguments]) as native:
        with pytest.raises(subprocess.TimeoutExpired):
            native.wait(0.2)
        native.kill()
    ran = make(program, backend).run(*arguments)
    waits = "another thread" if case == "lock" else "input of a pipe that nobody else can write"
    assert ran.stderr.decode().splitlines() == [
        f"limpet: stuck is stuck: none of its 2 threads can ever go on, backend {backend}",
        f"limpet:   thread 2 (worker) waits for {waits}",
        "limpet:   thread 1 (stuck) waits for another thread",
    ]
    assert ran.status == 121


READER = r"""
#include <pthread.h>
#include <stdio.h>
static void *copy(void *p) {
    for (int got; (got = getchar()) != EOF;)
        putchar(got);
    return p;
}
int main(void) {
    pthread_t t;
    pthread_create(&t, 0, copy, 0);
    pthread_join(t, 0);
    return ferror(stdin);
}
"""


def test_the_only_one_that_can_go_on_reads(make: Maker, backend: Backend) -> None:
    """Input is there when it is asked for, and everybody else waits for who asks."""
    ran = make(make.compile(READER, "reader"), backend).run(stdin=b"hello")
    assert (ran.stdout, ran.stderr, ran.status) == (b"hello", b"", 0)


def test_one_thread_pays_nothing(make: Maker) -> None:
    """A program that cannot start threads has none of it, although it calls ``clone`` to spawn."""
    made = limpet.plan(limpet.load(need(BUSYBOX, "busybox-static")))
    assert "clone" not in {call.name for call in made.calls}
    assert "scheduler = NULL" in made.sources["dispatch.c"]
    made = limpet.plan(limpet.load(threaded(make, "musl")))
    assert {"clone", "futex"} <= {call.name for call in made.calls}
    assert made.warnings == ()


READERS = r"""
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static volatile int got;
static void *read_one(void *own) {
    char byte = '-';
    long size = read(0, &byte, 1);
    printf("%ld\n", size);
    fflush(stdout);
    got++;
    return own;
}
int main(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, read_one, NULL);
    puts("ready");
    fflush(stdout);
    while (!got)
        usleep(1000);
    for (int i = 0; i < 20; i++) /* both have had their turn */
        usleep(1000);
    puts("goes on");
    fflush(stdout);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
"""


def test_two_read_the_console(make: Maker, backend: Backend) -> None:
    """One gets what there is; the other waits again, and nobody with it."""
    path = make(make.compile(READERS, "readers"), backend, memory=MEMORY).path
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([path], **pipes) as started:  # type: ignore[call-overload]
        assert started.stdout.readline() == b"ready\n"
        started.stdin.write(b"a")
        started.stdin.flush()
        assert started.stdout.readline() == b"1\n"
        assert started.stdout.readline() == b"goes on\n"
        started.stdin.close()
        assert started.stdout.read() == b"0\n"
        assert started.wait() == 0
