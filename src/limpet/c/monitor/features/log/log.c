/* --log: the file that refusals are written to, opened while there are files. */
enum {
    LOG_FLAGS = 1 | 0100 | 02000 | O_CLOEXEC,
    LOG_MODE = 0640
}; /* to write, made, appended to */

static const char *why_no_log(long error) {
    switch (error) {
    case -HOST_ENOENT:
        return ": no such folder\n";
    case -HOST_EISDIR:
        return ": a folder\n";
    case -HOST_EACCES:
        return ": its starter may not write there\n";
    default:
        return ": it cannot be opened for writing\n";
    }
}

static long open_log(void) {
    static const char what[] = "limpet: --log ";
    const char *path = (const char *)BROKER_LOG;
    long log = host4(NR_OPENAT, AT_FDCWD, (long)path, LOG_FLAGS, LOG_MODE);
    if (log >= 0)
        return log;
    host3(NR_WRITE, STDERR, (long)what, sizeof what - 1);
    host3(NR_WRITE, STDERR, (long)path, (long)length(path));
    die(EXIT_CANNOT_START, why_no_log(log));
}
