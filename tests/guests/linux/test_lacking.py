"""What a program lacked is said when it ends badly: calls that are not served, and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

import limpet
from limpet.contract import Backend
from tests.support.bundles import Maker

ASKS = r"""
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/fanotify.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int watch = fanotify_init(0, 0);
    switch (atoi(argv[1])) {
    case 0: return 0;
    case 1: if (watch < 0) return 3; break;
    case 2: if (watch < 0) abort(); break;
    case 3: if (watch < 0) *(volatile int *)8 = 1; break;
    case 4: for (int i = 0; i < 200; i++) getppid(); return 3;
    case 5: for (int i = 0; i < 200; i++) getppid(); abort();
    case 6: return syscall(atoi(argv[2])) == -1 ? 3 : 0;
    case 7: pause();
    }
    return 9;
}
"""

ABORTED = "limpet: the guest raised it by itself at "
ASKED = "limpet: asks asked for fanotify_init, which is not served, backend {}"

ENDS: dict[str, tuple[int, list[str]]] = {
    "0": (0, []),
    "1": (3, [ASKED]),
    "2": (134, [ABORTED, ASKED]),
    "3": (139, ["limpet: the guest wrote memory that it may not (0x8) at ", ASKED]),
    "4": (3, []),
    "5": (134, [ABORTED, ASKED]),
    "6 1000": (
        3,
        ["limpet: asks asked for system call 1000, which is not served, backend {}"],
    ),
    "6 334": (3, [ASKED]),  # rseq
    "7": (121, ["limpet: asks waits for a signal", ASKED]),
}


@pytest.mark.parametrize("case", ENDS)
def test_calls_that_are_not_served(make: Maker, backend: Backend, case: str) -> None:
    """A crash names the last one; an exit status does if it was asked for shortly before."""
    status, lines = ENDS[case]
    ran = make(make.compile(ASKS, "asks"), backend).run(*case.split())
    said = ran.stderr.decode().splitlines()
    assert (ran.status, len(said)) == (status, len(lines)), said
    for line, wanted in zip(said, lines, strict=True):
        assert line.startswith(wanted.format(backend)), said


def test_a_program_that_lacks_nothing_pays_nothing(make: Maker) -> None:
    """No name and no counter, where every site has a number that is served."""
    example = Path(__file__).parents[3] / "examples" / "hello.c"
    source = limpet.plan(limpet.load(example)).sources["dispatch.c"]
    assert "calls" not in source.partition("\n")[2] and "name_of" not in source
    source = limpet.plan(limpet.load(make.compile(ASKS, "asks"))).sources["dispatch.c"]
    assert '"fanotify_init"' in source and '"getppid"' not in source


HUNGRY = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static void *(*volatile get)(size_t) = malloc; /* not for the compiler to leave out */
static char *all(size_t each) {
    char *got, *last = 0;
    while ((got = get(each))) last = memset(got, 1, each);
    return last;
}
int main(int argc, char **argv) {
    size_t each = 1 << 20;
    switch (atoi(argv[1])) {
    case 0: all(each); return 0;
    case 1: all(each); return 2;
    case 2: all(each); abort();
    case 3: all(each); *(volatile char *)get(each) = 1; break;
    case 4: if (!get(1UL << 30)) abort(); break;
    case 5: if (!get(1UL << 40)) abort(); break;
    case 6: free(all(each)); if (get(each)) abort(); break;
    case 7: {
        uintptr_t at = (uintptr_t)syscall(SYS_brk, 0);
        while (syscall(SYS_brk, at + each) == (long)(at + each)) at += each;
        abort();
    }
    case 8: if (mmap(0, 1UL << 30, PROT_READ, 0x22, -1, 0) == MAP_FAILED) abort(); break;
    case 9: if (mmap(0, 1UL << 35, PROT_NONE, 0x22, -1, 0) == MAP_FAILED) abort(); break;
    }
    return 9;
}
"""

SHORT = "limpet: hungry ran out of its 16 MiB of memory: give more with --memory, backend {}"
HUNGERS: dict[int, tuple[int, list[str]]] = {
    0: (0, []),
    1: (2, [SHORT]),
    2: (134, [ABORTED, SHORT]),
    3: (139, ["limpet: the guest wrote memory that it may not (0x0) at ", SHORT]),
    4: (134, [ABORTED, SHORT]),
    5: (134, [ABORTED]),  # no --memory could give so much
    6: (134, [ABORTED]),  # the last request was met
    7: (134, [ABORTED, SHORT]),
    8: (134, [ABORTED, SHORT]),  # as Java has its file of classes
    9: (134, [ABORTED]),  # addresses alone
}


@pytest.mark.parametrize("case", HUNGERS)
def test_memory_that_runs_out(make: Maker, backend: Backend, case: int) -> None:
    """A program that ends badly after memory was refused is told of --memory."""
    status, lines = HUNGERS[case]
    guest = make(make.compile(HUNGRY, "hungry"), backend, memory=16 << 20)
    ran = guest.run(str(case))
    said = ran.stderr.decode().splitlines()
    assert (ran.status, len(said)) == (status, len(lines)), said
    for line, wanted in zip(said, lines, strict=True):
        assert line.startswith(wanted.format(backend)), said


STARTS = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    struct stat found;
    const char *const names[] = {"/no/such", "/proc/version/x", "/proc/version"};
    for (int i = 0; i < 3; i++) {
        execl(names[i], "x", (char *)0);
        printf("%s: %s\n", names[i], strerror(errno));
    }
    setenv("PATH", "/no:/proc", 1);
    execlp("such", "x", (char *)0);
    puts(strerror(errno));
    execlp("version", "x", (char *)0);
    puts(strerror(errno));
    return stat("/", &found);
}
"""


def test_programs_that_are_not_there(make: Maker, backend: Backend) -> None:
    """Who looks for a program along PATH goes on; what is there cannot be started."""
    ran = make(make.compile(STARTS, "starts"), backend).run()
    assert ran.status == 0
    assert ran.stdout.decode().splitlines() == [
        "/no/such: No such file or directory",
        "/proc/version/x: Not a directory",
        "/proc/version: Function not implemented",
        "No such file or directory",
        "Function not implemented",
    ]
