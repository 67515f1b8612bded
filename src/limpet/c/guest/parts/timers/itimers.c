/* The three interval timers of a process, and alarm, which is the first of them. */
#include "core/signals.h"
#include "parts/timers/timers.h"

enum { ITIMER_REAL = 0, ITIMERS = 3 };
#define MICROSECONDS 1000000

struct itimer {
    struct timer timer;
    struct queued queued; /* at most once: these signals are plain ones */
};

static LARGE struct itimer itimers[ITIMERS];

static bool taken(struct queued *queued, struct linux_siginfo *info) {
    (void)queued, (void)info;
    return true;
}

static void rings(struct timer *timer) {
    struct itimer *itimer = (struct itimer *)timer;
    signal_send(NULL, itimer->queued.info.signal, &itimer->queued);
    if (timer->interval) {
        timer_forward(timer);
        timer_arm(timer, timer->at);
    }
}

/* `which` is one of them.  The other two count the time that the guest did not sleep, be it the
 * program's or the library OS's. */
static struct itimer *itimer_of(long which) {
    static const u8 numbers[ITIMERS] = {SIGALRM, SIGVTALRM, SIGPROF};
    struct itimer *itimer = &itimers[which];
    itimer->timer.rings = rings;
    itimer->timer.signals = true;
    itimer->queued.taken = taken;
    itimer->queued.info = (struct linux_siginfo){.signal = numbers[which], .code = SI_KERNEL};
    return itimer;
}

struct linux_itimerval {
    struct linux_timeval interval, value;
};

static struct linux_timeval timeval_of(const struct linux_timespec *time, bool up) {
    s64 microseconds = time->nanoseconds / 1000;
    if (up && !microseconds && !time->seconds && time->nanoseconds)
        microseconds = 1; /* armed is never told as nothing */
    return (struct linux_timeval){time->seconds, microseconds};
}

static struct linux_itimerval left_of(const struct itimer *itimer) {
    struct linux_itimerspec left = timer_left(&itimer->timer);
    return (struct linux_itimerval){timeval_of(&left.interval, false),
                                    timeval_of(&left.value, true)};
}

static void set(struct itimer *itimer, long which, const struct linux_itimerspec *spec) {
    static const struct linux_itimerspec none;
    if (which == ITIMER_REAL && !nanoseconds_of(&spec->value))
        spec = &none; /* the others keep what comes after */
    timer_set(&itimer->timer, which == ITIMER_REAL ? CLOCK_MONOTONIC : PROCESS_CPU, 0, spec);
}

long sys_getitimer(long which, long to) {
    if ((u32)which >= ITIMERS)
        return -EINVAL;
    *(struct linux_itimerval *)to = left_of(itimer_of((s32)which));
    return 0;
}

static bool valid(const struct linux_timeval *time) {
    return time->seconds >= 0 && (u64)time->microseconds < MICROSECONDS;
}

static struct linux_timespec exact(const struct linux_timeval *time) {
    return (struct linux_timespec){time->seconds, time->microseconds * 1000};
}

long sys_setitimer(long which, long from, long to) {
    struct linux_itimerval wanted = {0};
    if (from)
        wanted = *(const struct linux_itimerval *)from;
    if (!valid(&wanted.interval) || !valid(&wanted.value) || (u32)which >= ITIMERS)
        return -EINVAL;
    struct itimer *itimer = itimer_of((s32)which);
    const struct linux_itimerval before = left_of(itimer);
    const struct linux_itimerspec spec = {exact(&wanted.interval), exact(&wanted.value)};
    set(itimer, (s32)which, &spec);
    if (to)
        *(struct linux_itimerval *)to = before;
    return 0;
}

/* What is left is told in whole seconds, to the nearest, but never as none. */
long sys_alarm(long seconds) {
    struct itimer *itimer = itimer_of(ITIMER_REAL);
    const struct linux_itimerspec spec = {.value = {(u32)seconds, 0}};
    struct linux_timespec left = timer_left(&itimer->timer).value;
    set(itimer, ITIMER_REAL, &spec);
    bool up = left.nanoseconds >= NANOSECONDS / 2 || (!left.seconds && left.nanoseconds);
    return left.seconds + up;
}
