/* A write to a pipe that nobody reads is an error to the guest, whose library OS makes a signal of
 * it; the host's signal would end the monitor whatever the guest does with its own. */
enum { SIGPIPE = 13 };

static void survive_broken_pipes(void) {
    const u64 ignored[4] = {1, 0, 0, 0};
    host4(NR_RT_SIGACTION, SIGPIPE, (long)ignored, 0, 8);
}
