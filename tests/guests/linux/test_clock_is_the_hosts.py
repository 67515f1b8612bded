"""A guest cannot set the clock, and is told so as Linux tells who is no administrator."""

from __future__ import annotations

from limpet.contract import Backend
from tests.support.bundles import Maker, execute

PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SAY(what) printf("%s: %s\n", #what, (what) ? strerror(errno) : "done")
#define SET(clock, ...) \
    SAY(syscall(SYS_clock_settime, clock, &(struct timespec){__VA_ARGS__}))
#define DAY(...) SAY(syscall(SYS_settimeofday, &(struct timeval){__VA_ARGS__}, NULL))

int main(void) {
    setgid(65534);
    setuid(65534); /* an administrator of Linux would set it */
    SET(CLOCK_REALTIME, 1000000000, 0);
    SET(CLOCK_REALTIME, 1, 999999999);
    SET(CLOCK_REALTIME, 1, 1000000000);
    SET(CLOCK_REALTIME, -1, 0);
    SET(CLOCK_REALTIME, 0, -1);
    SET(CLOCK_REALTIME, 8277292035, 0);
    SET(CLOCK_REALTIME, 8277292036, 0);
    SET(CLOCK_MONOTONIC, 1, 0);
    SET(CLOCK_TAI, 1, 0);
    SET(77, 1, 0);
    SAY(syscall(SYS_clock_settime, CLOCK_REALTIME, -4096L));
    SAY(syscall(SYS_clock_settime, CLOCK_MONOTONIC, -4096L));
    DAY(1000000000, 0);
    DAY(1, 999999);
    DAY(1, 1000000);
    DAY(-1, 0);
    DAY(8277292036, 0);
    SAY(syscall(SYS_settimeofday, NULL, NULL));
    SAY(syscall(SYS_settimeofday, -4096L, NULL));
    SAY(syscall(SYS_settimeofday, NULL, -4096L));
    return 0;
}
"""


def test_as_on_linux(make: Maker, backend: Backend) -> None:
    """Every error in Linux's order."""
    program = make.compile(PROGRAM, "clock")
    native = execute(["clock"], program)
    assert native.status == 0 and b"Operation not permitted" in native.stdout
    ran = make(program, backend).run()
    assert (ran.stdout.decode(), ran.status) == (native.stdout.decode(), 0)
