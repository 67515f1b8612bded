/*
 * --report=FILE: the monitor runs in a child, and this parent waits for its end and writes down
 * what the host's kernel says of it.
 *
 * Trusted: the kernel.  The parent reads nothing of the guest's but the numbers of counts.c; it
 * keeps the rights of its starter, for the report goes where that one may write.  The report is
 * written to a file of its own that is new, and then takes the name: it is there whole or not at
 * all, and no link is followed that has either name.
 */
enum { REPORT_PATH_MOST = 4000, REPORT_MOST = 4096, REPORT_NUMBER = 24, REPORT_SECRET = 0600 };
enum { REPORT_FLAGS = 0301 | 0400000 | O_CLOEXEC }; /* O_WRONLY, CREAT, EXCL, NOFOLLOW */
enum {
    CHILD_SIGNAL = 17,
    KILL_SIGNAL = 9,
    DEATH_SIGNAL = 1,
    NO_WAIT = 1,
    SET_MASK = 2,
    NANO = 1000000000
};

/* A terminal stops the parent too. */
#define JOB_CONTROL (0x1fUL << 17) /* CONT, STOP, TSTP, TTIN, TTOU */

struct usage { /* struct rusage */
    u64 user[2], system[2], peak_kib, others[13];
};

struct ending {
    u64 started[2], took[2], status; /* seconds and nanoseconds */
    struct usage used;
    struct tally before;
};

static void time_of(int clock, u64 time[2]) {
    host3(NR_CLOCK_GETTIME, clock, (long)time, 0);
}

static void time_since(const u64 before[2], u64 now[2]) {
    s64 fraction = (s64)(now[1] - before[1]);
    now[0] -= before[0];
    if (fraction < 0) {
        fraction += NANO;
        now[0]--;
    }
    now[1] = (u64)fraction;
}

static u64 report_text(char *text, const struct ending *end) {
    u64 signal = end->status & 0x7f, status = end->status >> 8 & EXIT_MOST;
    char *to = add_text(text, "{\n \"reason\": \"");
    to = add_text(add_text(to, signal ? "signal" : reason_of(status)), "\"");
    to = add_member(to, "status", signal ? SIGNAL_STATUS + signal : status);
    to = add_member(to, "signal", signal);
    to = add_time(to, "started", end->started, NANO_DIGITS);
    to = add_time(to, "seconds", end->took, NANO_DIGITS);
    to = add_time(to, "user_seconds", end->used.user, MICRO_DIGITS);
    to = add_time(to, "system_seconds", end->used.system, MICRO_DIGITS);
    to = add_member(to, "peak_memory", end->used.peak_kib << 10);
    to = add_tally(to, &end->before);
    return (u64)(add_text(to, "\n}\n") - text);
}

static bool write_report(const char *path, const char *fresh, const struct ending *end) {
    char text[REPORT_MOST];
    long size = (long)report_text(text, end), done = -1;
    long fd = host4(NR_OPENAT, AT_FDCWD, (long)fresh, REPORT_FLAGS, REPORT_SECRET);
    if (fd < 0)
        return false;
    done = host3(NR_WRITE, fd, (long)text, size);
    host3(NR_CLOSE, fd, 0, 0);
    if (done == size && host3(NR_RENAME, (long)fresh, (long)path, 0) >= 0)
        return true;
    host3(NR_UNLINK, (long)fresh, 0, 0);
    return false;
}

/* Wait for the child; what is sent to this process is meant for the guest. */
static void wait_for(long child, struct ending *end) {
    const u64 taken = ~JOB_CONTROL;
    int status = 0;
    while (host4(NR_WAIT4, child, (long)&status, NO_WAIT, (long)&end->used) != child) {
        long signal = host4(NR_RT_SIGTIMEDWAIT, (long)&taken, 0, 0, 8);
        if (signal > 0 && signal != CHILD_SIGNAL)
            host3(NR_KILL, child, signal, 0);
    }
    end->status = (u64)(u32)status;
}

static _Noreturn void report_on(long child, const char *path, u64 before[2],
                                const struct tally *tally) {
    char fresh[REPORT_PATH_MOST + REPORT_NUMBER];
    struct ending end;
    end.before = *tally;
    time_of(CLOCK_REALTIME, end.started);
    *add_number(add_text(add_text(fresh, path), "."), (u64)child) = 0;
    wait_for(child, &end);
    time_of(CLOCK_MONOTONIC, end.took);
    time_since(before, end.took);
    if (!write_report(path, fresh, &end))
        die(EXIT_CANNOT_START, "limpet: the report of the guest's end cannot be written where "
                               "--report=FILE says\n");
    u64 signal = end.status & 0x7f;
    for (;;)
        host3(NR_EXIT_GROUP, signal ? SIGNAL_STATUS + (long)signal : (long)(end.status >> 8), 0, 0);
}

static void end_with_reporter(void) {
    host6(NR_PRCTL, DEATH_SIGNAL, KILL_SIGNAL, 0, 0, 0, 0);
}

/* FILE of the first word, which has to be there: a bundle that writes no report has none of this.
 */
static const char *report_path(const u64 *stack) {
    static const char option[] = "--report=";
    const char *word = stack[0] > 1 ? (const char *)stack[2] : "";
    u64 same = 0;
    while (option[same] && word[same] == option[same])
        same++;
    if (option[same] || !word[same] || length(word + same) > REPORT_PATH_MOST)
        die(EXIT_CANNOT_START, "limpet: this bundle writes a report of its guest's end: give "
                               "--report=FILE as its first word\n");
    return word + same;
}

/* Returns in the child, whose command line does not have the word. */
static u64 *take_report(u64 *stack) {
    const u64 usual[4] = {0}, taken = ~JOB_CONTROL;
    u64 mask = 0, name = stack[1], before[2];
    const char *path = report_path(stack);
    struct tally tally = share_tally();
    time_of(CLOCK_MONOTONIC, before);
    host4(NR_RT_SIGACTION, CHILD_SIGNAL, (long)usual, 0, 8);
    host4(NR_RT_SIGPROCMASK, SIG_BLOCK, (long)&taken, (long)&mask, 8);
    long child = host3(NR_FORK, 0, 0, 0);
    if (child < 0)
        die(EXIT_CANNOT_START, "limpet: the host gives no process for --report=FILE\n");
    if (child)
        report_on(child, path, before, &tally);
    end_with_reporter();
    host4(NR_RT_SIGPROCMASK, SET_MASK, (long)&mask, 0, 8);
    stack[1] = stack[0] - 1, stack[2] = name;
    return stack + 1;
}

static inline void help_report(void) {
    static const char line[] = "  --report=FILE                     how the guest ended, as JSON; "
                               "wanted, as the first word\n";
    host3(NR_WRITE, STDOUT, (long)line, sizeof line - 1);
}
