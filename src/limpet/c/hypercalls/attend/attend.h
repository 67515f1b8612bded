/* attend, but for how a host system call is made: the same on both backends.  Signals are the last
 * that is looked at, behind what wait would look at. */
#include "hypercalls/wait/wait.h"

static void attend_take(struct attend *block) {
    s32 told[SIGNAL_SIZE / 4]; /* number, errno, code, ... */
    if (ATTEND_READ((long)told, sizeof told) == sizeof told)
        block->signal = told[0], block->code = told[2];
}

static void attend_until(struct attend *block) {
    struct pollfd fds[2 + NETWORKS];
    u8 bits[2 + NETWORKS];
    u64 count = wait_fill(block->want, fds, bits), hears = block->hear != 0;
    bits[count] = 63; /* which is none that is wanted, as a rule */
    fds[count] = (struct pollfd){SIGNAL_FD, POLLIN, 0};
    block->ready = wait_ready(block->deadline, fds, bits, count + hears) & block->want;
    block->signal = block->code = 0;
    if (hears && fds[count].ready)
        attend_take(block);
    block->monotonic = (u64)wait_clock(CLOCK_MONOTONIC);
    block->realtime = (u64)wait_clock(CLOCK_REALTIME);
}
