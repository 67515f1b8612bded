/* wait, but for how a host system call is made: the same on both backends, and for attend. */
#define WAIT_MOST (1L << 62) /* nanoseconds that never pass */

static s64 wait_clock(long clock) {
    struct timespec now = {0, 0};
    WAIT_CLOCK_GETTIME(clock, (long)&now);
    return now.seconds * 1000000000 + now.nanoseconds;
}

static u64 wait_fill(u64 want, struct pollfd *fds, u8 *bits) {
    u64 count = want & 1;
    fds[0] = (struct pollfd){STDIN, POLLIN, 0};
    bits[0] = 0;
#if NETWORKS
    for (u8 i = 1; i < WAIT_DEVICES->count; i++) {
        if (!(want >> i & 1) || WAIT_DEVICES->entries[i].type != DEVICE_NET)
            continue;
        fds[count] = (struct pollfd){DEVICE_FD + i, POLLIN, 0};
        bits[count++] = i;
    }
#endif
    return count;
}

/* Which of them are ready by the deadline. */
static u64 wait_ready(s64 deadline, struct pollfd *fds, const u8 *bits, u64 count) {
    struct timespec rest = {0, 0};
    u64 ready = 0;
    s64 left = deadline > 0 ? deadline - wait_clock(CLOCK_MONOTONIC) : deadline ? WAIT_MOST : 0;
    if (left > 0)
        rest.seconds = left / 1000000000, rest.nanoseconds = left % 1000000000;
    if (deadline || count)
        WAIT_PPOLL((long)fds, (long)count, (long)&rest);
    for (u64 i = 0; i < count; i++)
        if (fds[i].ready)
            ready |= 1UL << bits[i];
    return ready;
}

static inline void wait_until(struct wait *block) {
    struct pollfd fds[1 + NETWORKS];
    u8 bits[1 + NETWORKS];
    u64 count = wait_fill(block->want, fds, bits);
    block->ready = wait_ready(block->deadline, fds, bits, count);
    block->monotonic = (u64)wait_clock(CLOCK_MONOTONIC);
    block->realtime = block->want & NO_REALTIME ? 0 : (u64)wait_clock(CLOCK_REALTIME);
}
