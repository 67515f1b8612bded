/* A moment that comes by itself, so long after the start: also in a program that only computes. */
#include "parts/snapshot/snapshot.h"
#include "parts/timers/timers.h"

static void come(struct timer *timer) {
    (void)timer;
    snapshot_come(MOMENT_TIME);
}

void snapshot_begin(s64 now) {
    static struct timer moment = {.rings = come, .signals = true};
    timer_arm(&moment, now + snapshot_after);
}
