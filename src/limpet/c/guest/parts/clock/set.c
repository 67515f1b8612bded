/* Setting the clock, which is the host's: what Linux says to who is no administrator. */
#include "libos.h"
#include "linux.h"
#include "parts/clock/clock.h"

#define MOST_SECONDS 8277292036L /* kernel/time: TIME_SETTOD_SEC_MAX, 30 years before the end */

static bool may_be_set(s64 seconds, s64 parts, s64 most) {
    return seconds >= 0 && seconds < MOST_SECONDS && parts >= 0 && parts < most;
}

long sys_clock_settime(long clock, long time) {
    if ((s32)clock)
        return -EINVAL;
    const struct linux_timespec to = *(const struct linux_timespec *)time;
    return may_be_set(to.seconds, to.nanoseconds, NANOSECONDS) ? -EPERM : -EINVAL;
}

long sys_settimeofday(long time, long zone) {
    if (time) {
        const struct linux_timeval to = *(const struct linux_timeval *)time;
        if (!may_be_set(to.seconds, to.microseconds, 1000000))
            return -EINVAL;
    }
    if (zone)
        (void)*(volatile u64 *)zone;
    return -EPERM;
}
