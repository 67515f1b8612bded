"""Signals: what is told of them, their order, and what a handler starts with, as on Linux."""

from __future__ import annotations

import subprocess

import pytest

from limpet.contract import Backend
from tests.support.bundles import Maker

TOLD = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static void show(int number, siginfo_t *info, void *context) {
    printf("%d: %d %d %d value %d\n", number - (number >= 34 ? SIGRTMIN : 0),
           info->si_signo == number, info->si_code, info->si_errno,
           info->si_code == SI_QUEUE || info->si_code == -7 ? info->si_value.sival_int : 0);
    if (info->si_code == SI_USER || info->si_code == SI_TKILL)
        printf("  from itself %d\n", info->si_pid == getpid() && info->si_uid == getuid());
}
static long queue(int pid, int number, int code, int error, int value) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = code, info.si_errno = error, info.si_value.sival_int = value;
    long got = syscall(SYS_rt_sigqueueinfo, pid, number, &info);
    return got < 0 ? -errno : got;
}
static long fail(long got) { return got < 0 ? -errno : got; }
int main(void) {
    struct sigaction action = {.sa_sigaction = show, .sa_flags = SA_SIGINFO};
    int real = SIGRTMIN, own = getpid();
    sigset_t set, all, old;
    siginfo_t info;
    struct timespec now = {0, 0};
    sigfillset(&all);
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGUSR2, &action, 0);
    for (int i = 0; i < 4; i++)
        sigaction(real + i, &action, 0);
    raise(SIGUSR1);
    kill(own, SIGUSR1);
    printf("%ld\n", queue(own, SIGUSR1, SI_QUEUE, 5, 6));
    printf("%ld\n", queue(own, SIGUSR1, -7, 0, 9));
    printf("%ld\n", queue(own, 65, SI_QUEUE, 0, 0));
    printf("%ld\n", queue(own, 0, SI_QUEUE, 0, 0));
    printf("%ld\n", queue(own + 1, SIGUSR1, SI_USER, 0, 0));
    printf("%ld %ld %ld\n", fail(syscall(SYS_tkill, -1, 0)), fail(syscall(SYS_tkill, own, 65)),
           fail(syscall(SYS_tkill, 1 << 22, 0)));
    printf("%ld %ld %ld\n", fail(syscall(SYS_tgkill, 0, own, 0)),
           fail(syscall(SYS_tgkill, own, -1, 0)), fail(syscall(SYS_tgkill, own, own, 0)));
    printf("queued\n");
    sigprocmask(SIG_BLOCK, &all, &old);
    queue(own, SIGUSR2, SI_QUEUE, 0, 1);
    queue(own, SIGUSR2, SI_QUEUE, 0, 2);  /* lost: one of these at a time */
    for (int i = 0; i < 3; i++)
        queue(own, real + 1, SI_QUEUE, 0, i);
    queue(own, real, SI_QUEUE, 0, 7);
    raise(real + 1);
    kill(own, real + 2);
    sigemptyset(&set);
    sigaddset(&set, real + 1);
    int got = sigtimedwait(&set, &info, &now);
    printf("took %d %d\n", got - real, info.si_value.sival_int);
    sigpending(&set);
    for (int i = 1; i < 64; i++)
        if (sigismember(&set, i) == 1)
            printf("pending %d\n", i >= 34 ? i - real : -i);
    sigprocmask(SIG_SETMASK, &old, 0);
    printf("ignored\n");
    sigprocmask(SIG_BLOCK, &all, &old);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    sigaction(SIGUSR1, &action, 0);  /* forgotten in between */
    raise(SIGCHLD);  /* no effect, but blocked: kept */
    sigpending(&set);
    printf("%d %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGCHLD));
    got = sigtimedwait(&all, &info, &now);
    printf("%d\n", got == SIGCHLD);
    got = sigtimedwait(&all, &info, &now);
    printf("%d %d\n", got, errno == EAGAIN);
    sigprocmask(SIG_SETMASK, &old, 0);
    raise(SIGCHLD);
    sigpending(&set);
    printf("%d\n", sigismember(&set, SIGCHLD));
    return 0;
}
"""

CLEARED = r"""
#include <fenv.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
static unsigned char seen[64];
static unsigned mxcsr;
static unsigned short x87;
__attribute__((target("sse2"))) static void look(int number) {
    __asm__ volatile("movdqu %%xmm0, %0\n movdqu %%xmm15, 16+%0\n stmxcsr %1\n fnstcw %2"
                     : "=m"(seen), "=m"(mxcsr), "=m"(x87));
    (void)number;
}
int main(void) {
    unsigned char all[16], after[16];
    unsigned mine = 0x7f80, mine_after = 0;
    memset(all, 0xa5, sizeof all);
    signal(SIGUSR1, look);
    long number = 200, got, id = 0;
    __asm__ volatile("syscall" : "=a"(id) : "a"(186L) : "rcx", "r11", "memory");
    __asm__ volatile("movdqu %2, %%xmm0\n movdqa %%xmm0, %%xmm15\n ldmxcsr %3\n syscall\n"
                     "movdqu %%xmm15, %1\n stmxcsr %4"
                     : "=a"(got), "=m"(after)
                     : "m"(all), "m"(mine), "m"(mine_after), "a"(number), "D"(id),
                       "S"((long)SIGUSR1)
                     : "rcx", "r11", "xmm0", "xmm15", "memory");
    int zero = 1;
    for (int i = 0; i < 32; i++)
        zero &= !seen[i];
    printf("%ld cleared %d mxcsr %x x87 %x\n", got, zero, mxcsr, x87);
    printf("restored %d %x\n", !memcmp(all, after, sizeof all), mine_after);
    return 0;
}
"""

PROGRAMS = {"told": TOLD, "cleared": CLEARED}


@pytest.mark.parametrize("name", PROGRAMS)
def test_signals(make: Maker, backend: Backend, name: str) -> None:
    """The same lines as on Linux."""
    program = make.compile(PROGRAMS[name], name)
    native = subprocess.run([program], capture_output=True, check=True).stdout
    ran = make(program, backend).run()
    assert (ran.stdout.decode(), ran.status) == (native.decode(), 0)
