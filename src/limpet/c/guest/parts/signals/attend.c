/*
 * Signals from outside: what somebody sends to the monitor is sent to the program.
 *
 * A timer that never rings says that a wait can end without one; another, of the time that the
 * program does not sleep, looks while it computes, and brings the tick.  Both begin with the first
 * look at timers that anybody takes: the plan's `alarms` has it due.
 */
#include "core/signals.h"
#include "core/tick.h"
#include "linux.h"
#include "parts/timers/timers.h"

#define NEVER (1L << 62)
#define EACH 10000000L /* nanoseconds between two looks: each is an exit of the machine */

static void hear(struct wait *block, bool hears) {
    struct attend all = {.deadline = block->deadline, .want = block->want, .hear = hears};
    hypercall_attend(&all);
    block->ready = all.ready;
    block->monotonic = all.monotonic, block->realtime = all.realtime;
    /* who sent it has no number in here, as on Linux from outside a namespace */
    const struct linux_siginfo info = {.signal = (s32)all.signal, .code = (s32)all.code};
    if (all.signal)
        signal_send_copy(NULL, &info);
}

/* Who only asks for the time, or what is ready, hears nothing: it may be about to wait. */
void attend(struct wait *block) {
    hear(block, block->deadline != 0);
}

/* By the guest's own clock: a snapshot's is not that of the host which answers. */
static void look(struct timer *timer) {
    struct wait block = {.deadline = 0};
    hear(&block, true);
    timer_arm(timer, busy_time(guest_time->monotonic()) + EACH);
}

static void never(struct timer *timer) {
    (void)timer;
}

void attend_begin(s64 now) {
    static struct timer looks = {.rings = look, .busy = true, .signals = true};
    static struct timer waits = {.rings = never};
    timer_arm(&waits, NEVER);
    timer_arm(&looks, busy_time((u64)now) + EACH);
}
