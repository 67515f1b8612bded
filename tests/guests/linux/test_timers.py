"""Timers: what rings, when, what it is told by, and which calls it ends, as on Linux."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

import limpet
from limpet.contract import Backend
from tests.support.bundles import Maker

HEAD = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
static volatile int rang, last_code, last_value, last_overrun;
static void ring(int number, siginfo_t *info, void *context) {
    rang++;
    last_code = info->si_code;
    last_value = info->si_code == SI_TIMER ? info->si_value.sival_int : 0;
    last_overrun = info->si_code == SI_TIMER ? info->si_overrun : 0;
    (void)number, (void)context;
}
static void handle(int number, int flags) {
    struct sigaction action = {.sa_sigaction = ring, .sa_flags = SA_SIGINFO | flags};
    sigaction(number, &action, 0);
}
static struct timespec start;
static long waited(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
}
static void begin(void) { rang = 0; clock_gettime(CLOCK_MONOTONIC, &start); errno = 0; }
static const char *word(long ms) { return ms < 25 ? "at once" : ms < 3000 ? "waited" : "late"; }
#define SHOW(name, call) do { \
    begin(); \
    long got = (call); \
    int why = got < 0 ? errno : 0; \
    printf("%s %ld %d rang %d code %d %s\n", name, got, why, rang, last_code, word(waited())); \
} while (0)
static void in(long ms) { /* one SIGALRM */
    struct itimerval one = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &one, 0);
}
"""

ENDED = (
    HEAD
    + r"""
int main(void) {
    int pipes[2], events = eventfd(0, 0), epoll = epoll_create1(0);
    char byte;
    struct pollfd p;
    struct timespec second = {1, 0}, left = {0, 0};
    struct timeval tv = {1, 0};
    struct epoll_event e = {EPOLLIN, {0}};
    fd_set set;
    sigset_t mask, none, alarms;
    sigemptyset(&none);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pipe(pipes);
    p = (struct pollfd){pipes[0], POLLIN, 0};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &e);
    for (int restart = 0; restart < 2; restart++) {
        handle(SIGALRM, restart ? SA_RESTART : 0);
        in(50); SHOW("pause", pause());
        in(50); SHOW("poll", poll(&p, 1, 1000));
        in(50); SHOW("ppoll", ppoll(&p, 1, &second, 0));
        printf("left %d\n", second.tv_sec == 0 && second.tv_nsec > 500000000);
        second = (struct timespec){1, 0};
        FD_ZERO(&set); FD_SET(pipes[0], &set);
        in(50); SHOW("select", select(pipes[0] + 1, &set, 0, 0, &tv));
        printf("left %d\n", tv.tv_sec == 0 && tv.tv_usec > 500000);
        tv = (struct timeval){1, 0};
        in(50); SHOW("epoll", epoll_wait(epoll, &e, 1, 1000));
        in(50); SHOW("nanosleep", nanosleep(&second, &left));
        printf("left %d\n", left.tv_sec == 0 && left.tv_nsec > 500000000);
        in(50); SHOW("sleep", (long)sleep(2));
        sigprocmask(SIG_BLOCK, &alarms, &mask);
        in(50); SHOW("sigsuspend", sigsuspend(&none));
        in(50); SHOW("ppoll mask", ppoll(&p, 1, &second, &none));
        second = (struct timespec){1, 0};
        in(50); SHOW("pselect mask", pselect(0, 0, 0, 0, &second, &none));
        in(50); SHOW("epoll mask", epoll_pwait(epoll, &e, 1, 1000, &none));
        in(50); SHOW("sigwait", sigwaitinfo(&alarms, 0));
        in(50); SHOW("sigtimedwait", sigtimedwait(&alarms, 0, &second));
        SHOW("blocked", (in(1), usleep(40000)));
        sigprocmask(SIG_SETMASK, &mask, 0);
        printf("then %d\n", rang);
    }
    /* Restarted, these go on until a timer makes them ready; not restarted, they end. */
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec later = {{0, 0}, {0, 120000000}};
    uint64_t count = 0;
    for (int restart = 0; restart < 2; restart++) {
        handle(SIGALRM, restart ? SA_RESTART : 0);
        timerfd_settime(timer, 0, &later, 0);
        in(40); SHOW("timerfd", read(timer, &count, 8));
        printf("%lu\n", (unsigned long)count);
    }
    handle(SIGALRM, 0);
    in(40); SHOW("pipe", read(pipes[0], &byte, 1));
    in(40); SHOW("eventfd", read(events, &count, 8));
    int signals = signalfd(-1, &alarms, 0);
    struct signalfd_siginfo info;
    sigprocmask(SIG_BLOCK, &alarms, &mask);
    in(40); SHOW("signalfd", read(signals, &info, sizeof info));
    printf("%d %d\n", info.ssi_signo == SIGALRM, info.ssi_code);
    p = (struct pollfd){signals, POLLIN, 0};
    in(40); SHOW("poll signalfd", poll(&p, 1, 1000));
    printf("%x %d\n", p.revents, (int)read(signals, &info, sizeof info));
    p = (struct pollfd){timer, POLLIN, 0};
    later.it_value.tv_nsec = 50000000;
    timerfd_settime(timer, 0, &later, 0);
    SHOW("poll timerfd", poll(&p, 1, 1000));
    timerfd_settime(timer, 0, &later, 0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e);
    SHOW("epoll timerfd", epoll_wait(epoll, &e, 1, 1000));
    return 0;
}
"""
)

POSIX = (
    HEAD
    + r"""
static timer_t timer;
static long make(int clock, int notify, int signo, int value) {
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = notify, event.sigev_signo = signo, event.sigev_value.sival_int = value;
    int id = -1;
    long got = syscall(SYS_timer_create, clock, &event, &id);
    timer = (timer_t)(intptr_t)id;
    return got < 0 ? -errno : got;
}
static long set(int flags, long value, long interval) { /* milliseconds */
    struct itimerspec spec = {{interval / 1000, interval % 1000 * 1000000},
                              {value / 1000, value % 1000 * 1000000}};
    long got = syscall(SYS_timer_settime, (int)(intptr_t)timer, flags, &spec, 0);
    return got < 0 ? -errno : got;
}
static long left(void) {
    struct itimerspec spec = {{0, 0}, {0, 0}};
    syscall(SYS_timer_gettime, (int)(intptr_t)timer, &spec);
    return spec.it_value.tv_sec * 1000 + (spec.it_value.tv_nsec + 999999) / 1000000;
}
int main(void) {
    sigset_t set1, old;
    siginfo_t info;
    sigemptyset(&set1);
    sigaddset(&set1, SIGUSR1);
    sigaddset(&set1, SIGRTMIN + 1);
    handle(SIGUSR1, 0);
    printf("%ld %ld %ld %ld %ld\n", make(99, SIGEV_SIGNAL, SIGUSR1, 0),
           make(CLOCK_MONOTONIC_RAW, SIGEV_SIGNAL, SIGUSR1, 0), make(1, SIGEV_SIGNAL, 99, 0),
           make(1, SIGEV_SIGNAL, 0, 0), make(1, 77, SIGUSR1, 0));
    printf("%ld\n", make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1234));
    printf("%ld %ld\n", set(0, 30, 0), left());
    SHOW("pause", pause());
    printf("%d %d %ld %d\n", last_value, last_overrun, left(), last_code == SI_TIMER);
    set(0, 20, 20);
    for (int i = 0; i < 4; i++)
        printf("interval %d code %d\n", (begin(), pause()), last_code);
    sigprocmask(SIG_BLOCK, &set1, &old);
    struct timespec nap = {0, 0}, limit = {2, 0};
    set(0, 10, 10);
    nap.tv_nsec = 95000000;
    nanosleep(&nap, 0);
    int got = sigtimedwait(&set1, &info, &limit);
    printf("%d %d\n", got == SIGUSR1, info.si_overrun >= 7 && info.si_overrun < 40);
    printf("%d\n", syscall(SYS_timer_getoverrun, (int)(intptr_t)timer) == info.si_overrun);
    nanosleep(&nap, 0);
    set(0, 0, 0); /* what was on its way does not count */
    nap.tv_nsec = 1;
    printf("%d\n", sigtimedwait(&set1, &info, &nap));
    printf("%ld\n", syscall(SYS_timer_delete, (int)(intptr_t)timer));
    printf("%ld\n", set(0, 1, 1));
    printf("%ld\n", make(CLOCK_REALTIME, SIGEV_NONE, 0, 0));
    printf("%ld ", set(0, 60000, 0));
    printf("%d\n", left() > 59000);
    printf("%ld\n", make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 1, 7));
    set(TIMER_ABSTIME, 1000, 0); /* long ago */
    got = sigtimedwait(&set1, &info, &limit);
    printf("%d %d %d\n", got - SIGRTMIN, info.si_value.sival_int, info.si_code == SI_TIMER);
    sigprocmask(SIG_SETMASK, &old, 0);
    struct itimerval value = {{0, 0}, {0, 0}};
    printf("%u %u\n", alarm(100), alarm(0));
    struct itimerval bad = {{0, 1000000}, {0, 0}}, most = {{0, 0}, {5, 600000}};
    printf("%d %d\n", setitimer(ITIMER_REAL, &bad, 0), errno == EINVAL);
    printf("%d %d\n", setitimer(7, &value, 0), errno == EINVAL);
    setitimer(ITIMER_REAL, &most, 0);
    printf("%u\n", alarm(0));
    return 0;
}
"""
)

BUSY = (
    HEAD
    + r"""
int main(void) {
    struct itimerval value = {{0, 20000}, {0, 20000}}, left;
    handle(SIGPROF, 0);
    handle(SIGVTALRM, 0);
    setitimer(ITIMER_PROF, &value, 0);
    begin();
    usleep(150000);
    printf("asleep %d\n", rang);
    while (rang < 3 && waited() < 5000)
        getppid();
    printf("busy %d code %d\n", rang, last_code);
    memset(&value, 0, sizeof value);
    setitimer(ITIMER_PROF, &value, &left);
    printf("%d %d\n", (int)left.it_interval.tv_usec, left.it_value.tv_usec <= 24000);
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(150000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    printf("%d\n", (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec
                   < 75000000);
    return 0;
}
"""
)

SPIN = (
    HEAD
    + r"""
int main(void) {
    struct itimerval often = {{0, 30000}, {0, 30000}}, none = {{0, 0}, {0, 0}};
    volatile unsigned long work = 0;
    handle(SIGALRM, 0);
    handle(SIGVTALRM, 0);
    alarm(1);
    while (!rang) /* no system call at all */
        work++;
    printf("alarm %d code %d\n", rang, last_code);
    setitimer(ITIMER_VIRTUAL, &often, 0);
    while (rang < 6)
        work++;
    setitimer(ITIMER_VIRTUAL, &none, 0);
    printf("interval %d\n", rang);
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_signo = SIGALRM, event.sigev_value.sival_int = 5;
    int id = -1;
    struct itimerspec spec = {{0, 20000000}, {0, 20000000}};
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id);
    syscall(SYS_timer_settime, id, 0, &spec, 0);
    for (rang = 0; rang < 4;)
        work++;
    syscall(SYS_timer_delete, id);
    printf("posix %d value %d\n", rang, last_value);
    return work == 0;
}
"""
)

WAITED = r"""
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>
static volatile int rang;
static const struct itimerspec soon = {.it_value = {0, 120000000}};
static int timer;
static void *waits(void *set) {
    unsigned long count;
    struct pollfd p = {timer, POLLIN, 0};
    if (set)
        timerfd_settime(timer, 0, &soon, NULL);
    if (poll(&p, 1, -1) == 1 && read(timer, &count, 8) == 8)
        rang++;
    return NULL;
}
int main(void) {
    pthread_t thread;
    for (int i = 0; i < 2; i++) {
        timer = timerfd_create(CLOCK_MONOTONIC, 0);
        pthread_create(&thread, NULL, waits, i % 2 ? &timer : NULL);
        if (i % 2 == 0) {
            usleep(1000);
            timerfd_settime(timer, 0, &soon, NULL);
        }
        while (rang == i) /* no system call at all */
            ;
        pthread_join(thread, NULL);
        close(timer);
    }
    return !printf("%d\n", rang);
}
"""

PROGRAMS = {"ended": ENDED, "posix": POSIX, "busy": BUSY, "spin": SPIN, "waited": WAITED}


@pytest.mark.parametrize("name", PROGRAMS)
def test_timers(make: Maker, backend: Backend, name: str) -> None:
    """The same lines as on Linux."""
    program = make.compile(PROGRAMS[name], name)
    native = subprocess.run([program], capture_output=True, check=True).stdout
    ran = make(program, backend).run()
    assert (ran.stdout.decode(), ran.status) == (native.decode(), 0)


KILLED = r"""
#include <unistd.h>
int main(int argc, char **argv) {
    alarm(1);
    for (;;)
        pause();
}
"""


def test_alarm_ends_a_program(make: Maker, backend: Backend) -> None:
    """One without a handler, as on Linux: status 128 and the signal."""
    ran = make(make.compile(KILLED, "killed"), backend).run()
    assert (ran.status, ran.stdout, ran.stderr) == (128 + 14, b"", b"")


POINTED = r"""
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static volatile int rang;
static void ring(int number) {
    rang = number;
}
static int applet(void) {
    signal(SIGALRM, ring);
    alarm(1);
    while (!rang)
        ;
    return printf("%d\n", rang);
}
static int (*volatile const applets[])(void) = {applet};
int main(void) {
    return !applets[0]();
}
"""


def test_what_only_pointers_lead_to_is_asked_for(make: Maker, backend: Backend) -> None:
    """As busybox comes to alarm: no tick, unless it is asked for; a direct call needs nobody."""
    program = make.compile(POINTED, "pointed")
    options = limpet.Options(backends=(backend,))
    guest = limpet.load(program)
    assert "tick" not in {call.name for call in limpet.plan(guest, options).hypercalls}
    asked = limpet.plan(guest, replace(options, features=("timers",)))
    assert "tick" in {call.name for call in asked.hypercalls}
    ran = limpet.run(limpet.build(asked))
    assert (ran.stdout, ran.status) == (b"14\n", 0)


NONE = "int main(void) { return 0; }"


def test_nothing_of_it_without_timers(make: Maker) -> None:
    """A program that sets none has no hypercall for it."""
    plan = limpet.plan(limpet.load(make.compile(NONE, "none")))
    assert "wait" not in {call.name for call in plan.hypercalls}
