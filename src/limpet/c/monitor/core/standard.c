/* A wall that every host has, or that --strict asks for. */
static inline void must(long result) {
    if (result < 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses to take rights from the monitor: run "
                               "`limpet doctor`\n");
}

/*
 * Descriptors 0 to 2 are open before anything else is.  What a monitor opens would take the number
 * of a closed one: a disk as descriptor 1 would be where the guest's output goes.  What stands in
 * can be neither read nor written: the guest is told EBADF, as without a monitor.
 */
static void open_standard(void) {
    for (int fd = 0; fd < FIRST_FD; fd++)
        if (host3(NR_FCNTL, fd, F_GETFD, 0) < 0 &&
            host4(NR_OPENAT, AT_FDCWD, (long)"/dev/null", O_PATH | O_CLOEXEC, 0) != fd)
            die(EXIT_CANNOT_START, "limpet: a standard descriptor is closed, and /dev/null is not "
                                   "there to take its place\n");
}
