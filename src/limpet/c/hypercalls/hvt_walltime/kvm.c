/* walltime: the host's real-time clock. */
static void serve_hvt_walltime(struct hvt_walltime *block) {
    struct timespec now = {0, 0};
    host3(NR_CLOCK_GETTIME, CLOCK_REALTIME, (long)&now, 0);
    block->nsecs = (u64)(now.seconds * 1000000000 + now.nanoseconds);
}
