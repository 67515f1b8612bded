/* Timers of the program, in order of time; core/alarm.h is what everybody sees of them. */
#ifndef LIMPET_TIMERS_H
#define LIMPET_TIMERS_H

#include "core/alarm.h"
#include "core/park.h"
#include "parts/clock/clock.h"

struct timer {
    s64 at; /* on the monotonic clock, or that of busy time */
    struct timer *next;
    s64 interval; /* nanoseconds; 0: once */
    void (*rings)(struct timer *timer);
    bool busy, armed;
    bool signals; /* what rings interrupts the program */
};

void timer_arm(struct timer *timer, s64 at);
void timer_disarm(struct timer *timer);

/* Past now by whole intervals: how many. */
u64 timer_forward(struct timer *timer);

struct linux_itimerspec {
    struct linux_timespec interval, value;
};

static inline bool timer_is_valid(const struct linux_itimerspec *spec) {
    return time_is_valid(&spec->interval) && time_is_valid(&spec->value);
}

/* As it is seen: what is left until it rings, at least 1 ns while it is armed. */
struct linux_itimerspec timer_left(const struct timer *timer);

/* As the program wants it from now on; a value of zero leaves it disarmed. */
void timer_set(struct timer *timer, long clock, long flags, const struct linux_itimerspec *spec);

#endif
