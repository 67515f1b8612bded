#include "parts/timers/timers.h"
#include "core/thread.h"
#include "core/tick.h"

static struct timer *lists[2]; /* the second of those that count busy time */

static bool any_signals(void) {
    for (int busy = 0; busy < 2; busy++)
        for (const struct timer *each = lists[busy]; each; each = each->next)
            if (each->signals)
                return true;
    return false;
}

/* The one place where the earliest moment changes: a tick for a program that makes no system
 * calls meanwhile is asked for here, if a signal is to interrupt it or a thread of it waits. */
static void tell(void) {
    alarms.at = lists[0] ? lists[0]->at : 0;
    alarms.busy = lists[1] ? lists[1]->at : 0;
    alarms.signals = any_signals();
    bool wakes = alarms.at && threads->next && threads_listening;
    if ((alarms.signals || wakes) && tick_for_timers)
        tick_for_timers();
}

static void ring(s64 now) {
    for (int busy = 0; busy < 2; busy++) {
        s64 time = busy ? busy_time((u64)now) : now;
        while (lists[busy] && lists[busy]->at <= time) {
            struct timer *timer = lists[busy];
            lists[busy] = timer->next;
            timer->armed = false;
            timer->rings(timer);
        }
    }
    tell();
}

void timer_arm(struct timer *timer, s64 at) {
    struct timer *before = NULL, *after = lists[timer->busy];
    while (after && after->at <= at)
        before = after, after = after->next;
    timer->at = at, timer->next = after, timer->armed = true;
    if (before)
        before->next = timer;
    else
        lists[timer->busy] = timer;
    alarms.ring = ring;
    tell();
}

void timer_disarm(struct timer *timer) {
    struct timer *before = NULL, *each = lists[timer->busy];
    while (timer->armed && each != timer)
        before = each, each = each->next;
    if (timer->armed && before)
        before->next = timer->next;
    else if (timer->armed)
        lists[timer->busy] = timer->next;
    timer->armed = false;
    tell();
}

u64 timer_forward(struct timer *timer) {
    s64 late = clock_now(timer->busy) - timer->at;
    if (late < 0)
        return 0;
    s64 count = late / timer->interval + 1;
    timer->at = deadline_after((u64)timer->at, count * timer->interval);
    return (u64)count;
}

struct linux_itimerspec timer_left(const struct timer *timer) {
    s64 left = timer->at - clock_now(timer->busy);
    return (struct linux_itimerspec){timespec_of((u64)timer->interval),
                                     timespec_of(timer->armed ? (u64)MAX(left, 1) : 0)};
}

void timer_set(struct timer *timer, long clock, long flags, const struct linux_itimerspec *spec) {
    s64 value = nanoseconds_of(&spec->value);
    timer_disarm(timer);
    timer->busy = clock_is_busy(clock);
    timer->interval = nanoseconds_of(&spec->interval);
    timer->at = value ? clock_moment(clock, flags, value) : 0;
    if (value)
        timer_arm(timer, timer->at);
}
