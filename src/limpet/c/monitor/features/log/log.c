/* --log: the file that refusals are written to, opened while there are files. */
enum {
    LOG_FLAGS = 1 | 0100 | 02000 | O_CLOEXEC,
    LOG_MODE = 0640
}; /* to write, made, appended to */

static long open_log(void) {
    long log = host4(NR_OPENAT, AT_FDCWD, (long)BROKER_LOG, LOG_FLAGS, LOG_MODE);
    if (log < 0)
        die(EXIT_CANNOT_START, "limpet: the file of --log cannot be opened for writing\n");
    return log;
}
