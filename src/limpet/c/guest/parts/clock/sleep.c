/* Sleeping, by any clock that can be slept by. */
#include "core/park.h"
#include "core/thread.h"
#include "parts/clock/clock.h"

static long sleep_until(s64 deadline) {
    const struct waiting waits = {.deadline = deadline};
    if ((s64)clock_monotonic() >= deadline)
        return 0;
    long woken = park(&waits);
    return woken == -EINTR ? woken : 0;
}

/* A thread's own processor time stands still while it sleeps. */
static bool own_thread(long clock) {
    long id = ~(clock >> 3);
    return clock < 0 && clock & CPU_OF_THREAD && (!id || id == current->id);
}

long sys_clock_nanosleep(long clock, long flags, long request, long remain) {
    clock = (s32)clock;
    if (clock == THREAD_CPU || clock_only_tells(clock))
        return -EOPNOTSUPP;
    if (clock >= 0 && !clock_known(clock))
        return -EINVAL;
    struct linux_timespec time = *(const struct linux_timespec *)request;
    if (!time_is_valid(&time) || !clock_known(clock) || own_thread(clock))
        return -EINVAL;
    s64 deadline = clock_moment(clock, flags, nanoseconds_of(&time));
    if (clock_is_busy(clock)) /* which no sleep brings nearer: as much time as is missing */
        deadline = deadline_after(clock_monotonic(), MAX(deadline - clock_now(true), 0));
    long result = sleep_until(deadline);
    if (result && remain && !(flags & TIMER_ABSTIME)) {
        s64 left = deadline - (s64)clock_monotonic();
        *(struct linux_timespec *)remain = timespec_of((u64)MAX(left, 0));
    }
    return result;
}

long sys_nanosleep(long request, long remain) {
    return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, request, remain);
}
