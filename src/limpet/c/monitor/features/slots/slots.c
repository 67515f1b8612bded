/*
 * The kernel gives the lowest free number.  So that it is one the filter knows as a slot, all those
 * below the first are taken, by copies of standard input that no rule names, and behind the last
 * the limit ends.
 */
static inline bool is_slot(u64 descriptor) {
    return descriptor - SLOT_FD < SLOT_COUNT;
}

/* A parent beside the guest's process opens nothing. */
static void limit_slots(u64 scopes) {
    enum { RLIMIT_DESCRIPTORS = 7 };
    u64 both[2] = {FIRST_FD, FIRST_FD};
    if (!scopes) {
        must(host3(NR_SETRLIMIT, RLIMIT_DESCRIPTORS, (long)both, 0));
        return;
    }
    must(host3(NR_GETRLIMIT, RLIMIT_DESCRIPTORS, (long)both, 0));
    u64 most = both[1] < SLOT_FD + SLOT_COUNT ? both[1] : SLOT_FD + SLOT_COUNT;
    if (most <= SLOT_FD)
        die(EXIT_CANNOT_START, "limpet: the host allows too few open files: raise ulimit -n to "
                               "more than " SLOT_FD_TEXT "\n");
    both[0] = both[1] = most;
    must(host3(NR_SETRLIMIT, RLIMIT_DESCRIPTORS, (long)both, 0));
}

static void fill_below_slots(u64 scopes) {
    long fd = 0;
    if (!scopes)
        return;
    while (fd >= 0 && fd < SLOT_FD)
        fd = host3(NR_FCNTL, STDIN, F_DUPFD_CLOEXEC, 0);
    must(fd);
    host3(NR_CLOSE, fd, 0, 0);
}
