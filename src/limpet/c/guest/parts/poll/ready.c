#include "parts/poll/ready.h"
#include "core/alarm.h"
#include "core/signals.h"

long watch_for(struct watch *watch, s64 timeout) {
    struct waiting waits = {.deadline = FOREVER,
                            .on = watch->on ? watch->on : EVERYTHING,
                            .what = "descriptors of which none can ever become ready"};
    alarms_look();
    for (bool last = !timeout;;) {
        waits.want = 0;
        long ready = watch->look(watch, &waits.want);
        if (!ready && last && !watch->unhurried && signal_pending())
            return -EINTR;
        if (!ready && last && !watch->asked && waits.want & WANT_SOCKETS && glance(STALE_NONE)) {
            watch->asked = true;
            continue;
        }
        if (ready || last)
            return ready;
        if (timeout > 0 && !watch->asked)
            waits.deadline = deadline_after(clock_monotonic(), timeout);
        watch->asked = true;
        long woken = park(&waits);
        if (woken == -EINTR)
            return woken;
        last = woken == -ETIMEDOUT;
    }
}

s64 timeout_in(long milliseconds) {
    return (s32)milliseconds < 0 ? FOREVER : (s32)milliseconds * 1000000L;
}

long timeout_of(const struct linux_timespec *time, s64 *timeout) {
    *timeout = time ? time_to_wait(time) : FOREVER;
    return time && *timeout < 0 ? -EINVAL : 0;
}

long watch_mask(const u64 *mask, long size) {
    if (!mask)
        return 0;
    if (size != 8)
        return -EINVAL;
    signals_block_for_wait(*mask);
    return 0;
}

struct rest rest_of(s64 timeout, u64 to, bool microseconds) {
    s64 end = timeout > 0 ? deadline_after(clock_monotonic(), timeout) : 0;
    return (struct rest){.end = to ? end : 0, .to = to, .microseconds = microseconds};
}

long watch_result(long result, const struct rest *rest) {
    result = signals_after_wait(result);
    if (!rest->end)
        return result;
    s64 left = MAX(rest->end - (s64)clock_monotonic(), 0);
    struct linux_timespec time = {left / NANOSECONDS, left % NANOSECONDS};
    if (rest->microseconds)
        time.nanoseconds /= 1000;
    current->settled = &result; /* a constant of the program's stays as it is */
    *(struct linux_timespec *)rest->to = time;
    current->settled = NULL;
    return result;
}
