"""Small guests that each show one promise, through every libc and with rewriting off."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpet.contract import Backend
from tests.support.bundles import Maker
from tests.support.sources import ENDS, HANDLE, HELLO, LINKS, MISBEHAVE


@pytest.mark.parametrize("rewrite", [True, False], ids=["rewritten", "trapped"])
@pytest.mark.parametrize("link", LINKS)
def test_hello(make: Maker, backend: Backend, link: str, rewrite: bool) -> None:
    """Each libc and kind of link starts, computes, and ends with its own status."""
    compiler, flags = LINKS[link]
    program = make.compile(HELLO, "hello", *flags, compiler=compiler)
    kind = int.from_bytes(program.read_bytes()[16:18], "little")
    assert kind == (3 if "pie" in link else 2)
    ran = make(program, backend, rewrite=rewrite).run("you")
    assert (ran.stdout, ran.stderr, ran.status) == (b"you 42 3.142 7 none\n", b"", 5)


@pytest.mark.parametrize("case", ENDS)
def test_misbehaviour_ends_with_one_line(make: Maker, backend: Backend, case: int) -> None:
    """What happened, where, in which function, and a documented status."""
    program = make.compile(MISBEHAVE, "misbehave")
    status, what = ENDS[case]
    ran = make(program, backend).run(str(case))
    lines = ran.stderr.decode().splitlines()
    assert (ran.status, len(lines)) == (status, 1), lines
    assert what in lines[0]
    assert lines[0].endswith(f"backend {backend}")
    if case in {0, 1, 3, 4, 7, 8, 9}:
        assert " in main+" in lines[0]


@pytest.mark.parametrize("rewrite", [True, False], ids=["rewritten", "trapped"])
@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_signal_handlers(make: Maker, backend: Backend, compiler: str, rewrite: bool) -> None:
    """Faults reach handlers, contexts can be changed, masks hold, vector registers survive."""
    flags = ("-static",) if compiler == "gcc" else ()
    program = make.compile("#define _GNU_SOURCE\n" + HANDLE, "handle", *flags, compiler=compiler)
    ran = make(program, backend, rewrite=rewrite).run()
    assert (ran.stdout, ran.status) == (b"8 23 33 2.25 4.50\n", 0), ran.stderr


MEMORY = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    size_t big = 24 << 20;
    for (int i = 0; i < 200; i++) { /* far more than there is: memory is really reused */
        char *p = mmap(0, big, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || p[0] || p[big - 1]) return 1;
        memset(p, i, big);
        p = mremap(p, big, big / 2, 0);
        if (munmap(p, big / 2)) return 2;
    }
    if (mmap(0, 1UL << 40, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return 3;
    if (mmap(0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return 4;
    char *low = (char *)syscall(SYS_brk, 0), *high = low + (1 << 20);
    if ((char *)syscall(SYS_brk, high) != high) return 5;
    memset(low, 1, 1 << 20);
    syscall(SYS_brk, low);
    syscall(SYS_brk, high);
    if (low[0] || low[(1 << 20) - 1]) return 6;
    if (write(1, (void *)8, 4) != -1 || errno != EFAULT) return 7;
    if (read(0, (void *)8, 4) > 0) return 8;
    char path[5000]; memset(path, 'a', sizeof path); path[4999] = 0;
    if (access(path, 0) != -1 || errno != ENAMETOOLONG) return 9;
    if (access((char *)16, 0) != -1 || errno != EFAULT) return 10;
    int n = 0; char *volatile kept; while ((kept = malloc(1 << 20))) n++;
    printf("%s\n", n > 20 && n < 64 ? "full" : "odd");
    return 0;
}
"""


def test_memory(make: Maker, backend: Backend) -> None:
    """Memory is reused, zeroed, bounded by --memory, and bad pointers give EFAULT."""
    program = make.compile(MEMORY, "memory")
    ran = make(program, backend, memory=64 << 20).run(stdin=b"x")
    assert (ran.stdout, ran.status) == (b"full\n", 0), ran


ZEROS = r"""
#include <stdio.h>
__asm__(".section .zeros, \"ax\", @progbits\n.balign 4096\nzeros: .skip 65536\n.text");
extern const volatile char zeros[];
int main(void) {
    int sum = 0;
    for (int i = 0; i < 65536; i++)
        sum += zeros[i];
    printf("%d\n", sum);
}
"""


def test_read_only_zeros(make: Maker, backend: Backend) -> None:
    """Memory that may not be written and ends in pages of zeros is all there."""
    ran = make(make.compile(ZEROS, "zeros"), backend).run()
    assert (ran.status, ran.stdout, ran.stderr) == (0, b"0\n", b"")


TIME = r"""
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static double now(clockid_t c) {
    struct timespec t; clock_gettime(c, &t); return t.tv_sec + t.tv_nsec / 1e9;
}
int main(void) {
    double real = now(CLOCK_REALTIME), last = now(CLOCK_MONOTONIC), start = last;
    for (int i = 0; i < 300000; i++) {
        double t = now(CLOCK_MONOTONIC); if (t < last) return 1; last = t;
    }
    usleep(50000);
    struct pollfd p = {.fd = 0, .events = POLLIN};
    double before = now(CLOCK_MONOTONIC);
    int got = poll(&p, 1, 100);
    double slept = now(CLOCK_MONOTONIC) - before, passed = now(CLOCK_MONOTONIC) - start;
    printf("%.3f %d %.3f %.3f\n", real, got, slept, now(CLOCK_REALTIME) - real - passed);
    return 0;
}
"""


def test_time(make: Maker, backend: Backend) -> None:
    """Clocks run at the host's rate, never back; sleeping takes its time."""
    import time

    before = time.time()
    ran = make(make.compile(TIME, "time"), backend).run()
    assert ran.status == 0, ran
    real, got, slept, drift = (float(word) for word in ran.stdout.split())
    assert before - 0.1 < real < time.time() + 0.1
    assert got == 1  # standard input has ended
    assert slept < 0.1
    assert abs(drift) < 0.01


def test_both_in_one_file(tmp_path: Path, make: Maker) -> None:
    """A bundle with both backends starts on either."""
    import limpet
    from tests.support.bundles import KVM_PROBLEM, execute

    program = make.compile(HELLO, "hello")
    made = limpet.plan(limpet.load(program), limpet.Options(backends=("kvm", "process")))
    path = tmp_path / "both"
    limpet.build(made).write(path)
    assert execute(["hello", "x"], path).status == 5
    crash = make.compile(MISBEHAVE, "misbehave")
    made = limpet.plan(limpet.load(crash), limpet.Options(backends=("kvm", "process")))
    limpet.build(made).write(path)
    expected = b"backend process" if KVM_PROBLEM else b"backend kvm"
    assert execute(["crash", "0"], path).stderr.strip().endswith(expected)
