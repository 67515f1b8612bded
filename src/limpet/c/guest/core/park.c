/*
 * The one place where the program waits.
 *
 * A thread that cannot go on is parked with what it waits for.  When no thread is runnable,
 * one `wait` hypercall is made for all of them together: the earliest deadline, and whatever
 * any of them wants, and the earliest timer.  Without any of these a thread is woken by other
 * threads only; where signals come from outside, there always is a timer (parts/signals/attend.c).
 */
#include "core/park.h"
#include "core/alarm.h"
#include "core/thread.h"
#include "linux.h"

static bool sooner(s64 a, s64 b) {
    return a != FOREVER && (b == FOREVER || a < b);
}

const u8 park_everything;

static struct wait all_waits(void) {
    struct wait all = {.deadline = alarms.at ? alarms.at : FOREVER};
    for (const struct thread *each = threads; each; each = each->next) {
        if (each->state != THREAD_PARKED)
            continue;
        all.want |= each->waits->want;
        if (sooner(each->waits->deadline, all.deadline))
            all.deadline = each->waits->deadline;
    }
    return all;
}

static void wake_answered(const struct wait *answer) {
    for (struct thread *each = threads; each; each = each->next) {
        if (each->state != THREAD_PARKED)
            continue;
        if (each->waits->want & answer->ready)
            thread_wake(each, 0);
        else if (!scheduler && each->waits->deadline != FOREVER &&
                 answer->monotonic >= (u64)each->waits->deadline)
            thread_wake(each, -ETIMEDOUT);
    }
    if (scheduler)
        scheduler->wake_late(answer->monotonic);
}

void park_changed(const void *on) {
    for (struct thread *each = threads; each; each = each->next)
        if (each->state == THREAD_PARKED && each->waits->on &&
            (each->waits->on == on || each->waits->on == EVERYTHING))
            thread_wake(each, 0);
}

/* No thread is runnable: until the host, or a timer, has woken one. */
static void wait_in_host(const struct host_time *host) {
    struct wait block = all_waits();
    if (block.deadline == FOREVER && !block.want)
        end_deadlocked(current->waits->what);
    u64 before = host->monotonic();
    block.monotonic = before;
    host->wait(&block);
    alarms.slept += block.monotonic - MIN(before, block.monotonic);
    wake_answered(&block);
    alarms_look();
}

void park_nobody(void) {
    wait_in_host(guest_time);
}

void park_look(void) {
    struct wait block = all_waits();
    block.deadline = 0;
    guest_time->wait(&block);
    wake_answered(&block);
}

/* Where the plan has no `wait`, nobody can tell the time: a deadline is over at once, and
 * what may become ready may be so already. */
static long without_wait(const struct waiting *waits) {
    if (waits->deadline != FOREVER)
        return -ETIMEDOUT;
    if (!waits->want)
        end_deadlocked(waits->what);
    return 0;
}

static long park_with(const struct waiting *waits, const struct host_time *host) {
    alarms_look();
    if (signal_pending())
        return waits->restarts ? -ERESTARTSYS : -EINTR;
    if (waits->in_host && !threads->next && !alarms.at)
        return 0; /* there is nothing that could happen meanwhile */
    if (!host)
        return without_wait(waits);
    current->waits = waits;
    current->state = THREAD_PARKED;
    threads_listening += waits->on != NULL;
    while (current->state == THREAD_PARKED)
        if (!scheduler || !scheduler->run_another())
            wait_in_host(host);
    current->waits = NULL;
    return current->woken;
}

long park(const struct waiting *waits) {
    return park_with(waits, guest_time);
}

long park_for_host(const struct waiting *waits) {
    return park_with(waits, &host_time);
}
