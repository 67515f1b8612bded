"""Reservations and rights of programs that start threads, beside Linux."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

import limpet
from limpet.arch.x86_64.paging import LARGE, LARGE_PAGE, Tables
from limpet.contract import BACKENDS, Backend
from limpet.formats.memory import Memory
from tests.support import SUPPORT, programs
from tests.support.bundles import Maker, execute
from tests.support.sources import HELLO

LINKS = {"musl": ("zig", ()), "glibc": ("gcc", ("-static", "-w"))}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("link", LINKS)
def test_arranging(make: Maker, link: str, backend: Backend) -> None:
    """A TiB is reserved in a guest of 64 MiB, and what may not be touched faults as it should."""
    compiler, flags = LINKS[link]
    source = (SUPPORT / "programs" / "arranging.c").read_text()
    program = make.compile(source, "arranging", "-O1", *flags, compiler=compiler)
    native = execute(["arranging"], program, b"abc")
    ran = make(program, backend, memory=64 << 20).run(stdin=b"abc")
    assert (ran.status, ran.stderr) == (0, b"")
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert len(native.stdout.splitlines()) > 35


STACKS = """
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
static int deep(int left) {
    volatile char page[4096];
    page[0] = (char)left;
    return left ? deep(left - 1) + page[0] : 0;
}
static void overflow(int number, siginfo_t *info, void *context) {
    printf("overflow: %d %d\\n", number, info->si_code);
    exit(0);
}
static void *run(void *depth) {
    static char stack[65536];
    if ((long)depth < 100)
        return (void *)(long)deep((int)(long)depth);
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0);
    struct sigaction action = {.sa_sigaction = overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, 0);
    return (void *)(long)deep(1 << 20);
}
int main(void) {
    pthread_t threads[200];
    pthread_attr_t large;
    pthread_attr_init(&large);
    pthread_attr_setstacksize(&large, 8 << 20);
    for (int round = 0; round < 3; round++) {
        for (long i = 0; i < 200; i++)
            if (pthread_create(&threads[i], &large, run, (void *)(i % 9)) ||
                (round && sched_yield())) /* it ends before the next begins */
                return 1;
        for (int i = 0; i < 200; i++)
            pthread_join(threads[i], 0);
    }
    puts("joined");
    pthread_create(&threads[0], &large, run, (void *)100);
    return pthread_join(threads[0], 0) + 2;
}
"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("link", LINKS)
def test_stacks_of_threads(make: Maker, link: str, backend: Backend) -> None:
    """200 stacks of 8 MiB in 32 MiB, three times over; the end of one is its guard page."""
    compiler, flags = LINKS[link]
    program = make.compile(STACKS, "stacks", "-O1", *flags, compiler=compiler)
    native = execute(["stacks"], program)
    assert native.stdout == b"joined\noverflow: 11 2\n"
    ran = make(program, backend, memory=32 << 20).run()
    assert (ran.stdout, ran.stderr, ran.status) == (native.stdout, b"", 0)


MORE = """
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    size_t step = 96 << 10, done = 0;
    char *at = mmap(0, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    (void)argv;
    while (!mprotect(at + done, step, PROT_READ | PROT_WRITE))
        memset(at + done, 1, step), done += step;
    printf("%d %d", errno, done > 12 << 20);
    printf(" %d", mprotect(at, step, PROT_NONE) | mprotect(at, step, PROT_READ | PROT_WRITE));
    printf(" %d\\n", munmap(at, 1 << 20) | mprotect(at + done, step, PROT_READ | PROT_WRITE));
    return argc > 1;
}
"""


def test_rights_to_more_than_there_is(make: Maker, backend: Backend) -> None:
    """A heap that grows by mprotect is told that no memory is left, and goes on with what is."""
    guest = make(make.compile(MORE, "more"), backend, memory=16 << 20, features=("rights",))
    assert guest.run().stdout == b"12 1 0 0\n"
    said = guest.run("badly").stderr
    assert b"more ran out of its 16 MiB of memory" in said, said


@pytest.mark.parametrize("name", ["busybox", "lua"])
def test_who_pays(name: str) -> None:
    """A program without threads has none of it, and neither has a virtual machine."""
    guest = limpet.load(programs.get(name))
    plan = limpet.plan(guest, limpet.Options(backends=("process",)))
    assert not {"protect", "place"} & {call.name for call in plan.hypercalls}


@pytest.mark.parametrize("backends", [("process",), ("kvm",), ("kvm", "process")])
def test_where_it_is(make: Maker, backends: tuple[Backend, ...]) -> None:
    """In the filter of a process only."""
    source = (SUPPORT / "programs" / "arranging.c").read_text()
    guest = limpet.load(make.compile(source, "arranging", "-O1"))
    plan = limpet.plan(guest, limpet.Options(backends=backends))
    for backend, each in plan.filters.items():
        assert ({"mprotect", "mremap"} <= set(each.calls)) == (backend == "process")
        assert ({"mprotect", "mremap"} & set(each.calls) == set()) == (backend == "kvm")


def _is_large(plan: limpet.Plan, address: int) -> bool:
    """Whether a page directory maps it."""
    pages = plan.supervisor
    assert pages
    tables = Tables(pages.cr3, [list(each) for each in struct.iter_unpack("<512Q", pages.tables)])
    table = tables.descend(tables.descend(0, address >> 39 & 511), address >> 30 & 511)
    return bool(tables.pages[table][address >> 21 & 511] & LARGE)


@pytest.mark.parametrize(("name", "small"), [("arranging", True), ("hello", False)])
@pytest.mark.parametrize("memory", [32 << 20, 127 << 20])
def test_what_is_mapped_first(make: Maker, name: str, small: bool, memory: int) -> None:
    """The end of the arena has small pages from the start, where rights can change at all."""
    source = HELLO if name == "hello" else (SUPPORT / "programs" / f"{name}.c").read_text()
    guest = limpet.load(make.compile(source, name, "-O1"))
    plan = limpet.plan(guest, limpet.Options(backends=("kvm",), memory=memory))
    arena = next(region for region in plan.regions if region.name == "arena")
    low, high = arena.address, arena.end
    last = (high - 1) // LARGE_PAGE * LARGE_PAGE
    assert _is_large(plan, last) == (not small and high % LARGE_PAGE == 0)
    assert all(_is_large(plan, at) for at in range(low, last, LARGE_PAGE))


def test_what_a_snapshot_keeps(make: Maker) -> None:
    """What is there at the moment has small pages: ring 0 takes none apart when a start puts some
    out of reach again."""
    program = make.compile((SUPPORT / "programs" / "arranging.c").read_text(), "arranging", "-O1")
    guest, options = limpet.load(program), limpet.Options(backends=("kvm",), snapshot=True)
    arena = next(each for each in limpet.plan(guest, options).regions if each.name == "arena")
    kept = arena.address + 2 * LARGE_PAGE
    memory = Memory(((kept, b"\1" * (2 * LARGE_PAGE)),))
    plan = limpet.plan(replace(guest, memory=memory), options)
    large = [_is_large(plan, arena.address + each * LARGE_PAGE) for each in range(5)]
    assert large == [True, True, False, False, True]
