/* Waiting, with more threads than there can be yet, over a host whose answers the test sets. */
#include "native.h"
#include "core/alarm.c"
#include "core/park.c"

#define MOST 16

static struct thread them[MOST];
static struct waiting waits_of[MOST];
struct thread *current = &them[0], *threads;
u32 threads_listening;
struct alarms alarms;
const struct scheduler *const scheduler;

static u64 asked, now, answers[MOST], wants[MOST];
static s64 deadlines[MOST];
static void *out[5];
static bool interrupted;

void *memset(void *to, int byte, size_t n) {
    for (u8 *at = to; n--; at++)
        *at = (u8)byte;
    return to;
}

void thread_wake(struct thread *thread, long with) {
    thread->state = THREAD_RUNNABLE;
    thread->woken = with;
}

bool signal_pending(void) {
    return interrupted;
}

void end_deadlocked(const char *what) {
    (void)what;
    __builtin_longjmp(out, 1);
}

/* What is ready by the test's list; without anything, the time until the deadline passes. */
static void host_waits(struct wait *block) {
    u64 turn = MIN(asked, MOST - 1);
    deadlines[turn] = block->deadline, wants[turn] = block->want;
    asked++;
    block->ready = answers[turn] & block->want;
    if (!block->ready && block->deadline > (s64)now)
        now = (u64)block->deadline;
    block->monotonic = now;
}

static u64 host_now(void) {
    return now;
}

const struct host_time host_time = {.wait = host_waits, .monotonic = host_now};
const struct host_time *const guest_time = &host_time;

EXPORT(void, start, u64 count) {
    asked = now = 0, interrupted = false, threads = NULL;
    alarms = (struct alarms){0};
    for (u64 i = 0; i < count; i++) {
        them[i] = (struct thread){.next = threads};
        threads = &them[i];
    }
}

EXPORT(void, interrupt, void) {
    interrupted = true;
}

static s64 rung_at, next_alarm;

/* Wakes whoever waits on the alarm, as a timer that can be read does. */
static void ring(s64 at) {
    rung_at = at, alarms.at = next_alarm, alarms.busy = 0, next_alarm = 0;
    park_changed(&rung_at);
}

EXPORT(void, alarm, s64 at, s64 busy, s64 then) {
    alarms = (struct alarms){.at = at, .busy = busy, .ring = ring};
    next_alarm = then, rung_at = 0;
}

EXPORT(s64, rang, void) {
    return rung_at;
}

EXPORT(u64, slept, void) {
    return alarms.slept;
}

/* Another thread, parked before. */
EXPORT(void, parked, u64 thread, s64 deadline, u64 want) {
    waits_of[thread] = (struct waiting){.deadline = deadline, .want = want, .on = &waits_of};
    them[thread].waits = &waits_of[thread];
    them[thread].state = THREAD_PARKED;
}

EXPORT(void, answer, u64 turn, u64 ready) {
    answers[turn] = ready;
}

/* What the thread that runs gets; 1 is a deadlock. */
EXPORT(long, wait_for, s64 deadline, u64 want, bool in_host, int on) {
    const struct waiting waits = {.deadline = deadline,
                                  .want = want,
                                  .in_host = in_host,
                                  .on = on == 2 ? EVERYTHING
                                        : on    ? &rung_at
                                                : NULL};
    if (__builtin_setjmp(out))
        return 1;
    return park(&waits);
}

EXPORT(u64, times_asked, void) {
    return asked;
}

EXPORT(s64, deadline_asked, u64 turn) {
    return deadlines[turn];
}

EXPORT(u64, want_asked, u64 turn) {
    return wants[turn];
}

/* 1: still parked. */
EXPORT(long, woken, u64 thread) {
    return them[thread].state == THREAD_PARKED ? 1 : them[thread].woken;
}
