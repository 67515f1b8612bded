/*
 * Signals that somebody sends to the monitor are the guest's: they are blocked and read from a
 * descriptor, so that no handler runs.  What the starter has ignored stays so.  SIGQUIT and SIGTSTP
 * are not among them: the first ends a guest that does not listen, and both ends of a stop are the
 * terminal's.
 */
enum { IGNORED = 1 };

static u64 heard_signals(void) {
    u64 heard = HEARD_SIGNALS;
    for (int number = 1; number < 32; number++) {
        u64 action[4] = {0};
        if (heard >> (number - 1) & 1)
            host4(NR_RT_SIGACTION, number, 0, (long)action, 8);
        if (action[0] == IGNORED)
            heard &= ~(1UL << (number - 1));
    }
    return heard;
}

static void keep_signals(void) {
    const u64 heard = heard_signals();
    host4(NR_RT_SIGPROCMASK, SIG_BLOCK, (long)&heard, 0, 8);
}

/* Behind the set-up of KVM, whose descriptors have their numbers by their order too, and before no
 * more can be opened.  A parent beside the guest's process, which keeps nothing back, needs none.
 */
static void open_signals(u64 scopes) {
    const u64 heard = heard_signals();
    if (scopes && host4(NR_SIGNALFD4, -1, (long)&heard, 8, O_NONBLOCK | O_CLOEXEC) != SIGNAL_FD)
        die(EXIT_CANNOT_START, "limpet: the host refuses a descriptor of signals\n");
}

/* What was sent to the guest as it was. */
static inline void forget_signals(void) {
    u8 told[SIGNAL_SIZE];
    while (host3(NR_READ, SIGNAL_FD, (long)told, sizeof told) > 0)
        ;
}
