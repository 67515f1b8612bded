/* wait, but for how a host system call is made: the same on both backends. */
static s64 wait_clock(long clock) {
    struct timespec now = {0, 0};
    WAIT_CLOCK_GETTIME(clock, (long)&now);
    return now.seconds * 1000000000 + now.nanoseconds;
}

static void wait_until(struct wait *block) {
    struct pollfd input = {0, POLLIN, 0};
    struct timespec rest = {0, 0};
    long timeout = (long)&rest;
    block->ready = 0;
    if (block->deadline > 0) {
        s64 left = block->deadline - wait_clock(CLOCK_MONOTONIC);
        if (left > 0)
            rest.seconds = left / 1000000000, rest.nanoseconds = left % 1000000000;
    } else if (block->deadline < 0) {
        timeout = 0;
    }
    if (block->deadline || block->want_input) {
        long got = WAIT_PPOLL((long)&input, block->want_input ? 1 : 0, timeout);
        block->ready = got > 0;
    }
    block->monotonic = (u64)wait_clock(CLOCK_MONOTONIC);
    block->realtime = (u64)wait_clock(CLOCK_REALTIME);
}
