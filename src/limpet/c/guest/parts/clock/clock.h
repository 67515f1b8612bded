/* The clocks that a program can name, for those who count on them. */
#ifndef LIMPET_CLOCK_H
#define LIMPET_CLOCK_H

#include "libos.h"
#include "linux.h"

enum {
    PROCESS_CPU = 2,
    THREAD_CPU = 3,
    MONOTONIC_RAW = 4,
    REALTIME_COARSE = 5,
    MONOTONIC_COARSE = 6,
    BOOTTIME = 7,
    REALTIME_ALARM = 8,
    BOOTTIME_ALARM = 9,
    TAI = 11
};
enum { TIMER_ABSTIME = 1 };

/* Processor time of the process or of a thread, by its number, 0 for the own. */
enum { CPU_OF_THREAD = 4, CPU_KIND = 3, CPU_KINDS = 3 };

/* Neither sleeps nor has timers: read from time to time, or of a descriptor. */
static inline bool clock_only_tells(long clock) {
    const long kind = 7, descriptor = 3;
    return clock < 0 ? (clock & kind) == descriptor
                     : clock >= MONOTONIC_RAW && clock <= MONOTONIC_COARSE;
}

bool clock_known(long clock);
bool clock_is_busy(long clock); /* counts only the time not slept */

/* On the clock behind it, monotonic or of busy time: now, and a moment that the program named,
 * `time` from now or, with TIMER_ABSTIME, on its own clock.  From 1 to the end of time. */
s64 clock_now(bool busy);
s64 clock_moment(long clock, long flags, s64 time);

/* Around a wait in the host by another hypercall than `wait`; the second is the time then. */
u64 clock_waits(void);
u64 clock_waited(u64 since);

static inline bool time_is_valid(const struct linux_timespec *time) {
    return time->seconds >= 0 && time->nanoseconds >= 0 && time->nanoseconds < NANOSECONDS;
}

#define LONGEST_TIME (1L << 32) /* seconds; Linux takes more, which nobody sees pass */

static inline s64 nanoseconds_of(const struct linux_timespec *time) {
    return MIN(time->seconds, LONGEST_TIME) * NANOSECONDS + time->nanoseconds;
}

static inline struct linux_timespec timespec_of(u64 nanoseconds) {
    return (struct linux_timespec){(s64)nanoseconds / NANOSECONDS, (s64)nanoseconds % NANOSECONDS};
}

#endif
