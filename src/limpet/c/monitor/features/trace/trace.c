/*
 * --trace=FILE: the file that the library OS's records go to, opened while there are files. Without
 * the word nothing is at its descriptor, and the library OS learns that with its first records.
 */
enum { TRACE_ASIDE = NAMER_FD - 1, TRACE_FLAGS = 1 | 0100 | 02000 | O_CLOEXEC, TRACE_MODE = 0600 };

/* FILE, and the command line without the word; NULL where it is another. */
static const char *take_trace(u64 **stack) {
    static const char option[] = "--trace=";
    u64 *words = *stack, name = words[1];
    const char *word = words[0] > 1 ? (const char *)words[2] : "";
    u64 same = 0;
    while (option[same] && word[same] == option[same])
        same++;
    if (option[same])
        return NULL;
    words[1] = words[0] - 1, words[2] = name;
    *stack = words + 1;
    return word + same;
}

static void open_trace(const char *path) {
    if (!path)
        return;
    long file = host4(NR_OPENAT, AT_FDCWD, (long)path, TRACE_FLAGS, TRACE_MODE);
    if (file < 0 || host3(NR_DUP2, file, TRACE_ASIDE, 0) < 0)
        die(EXIT_CANNOT_START, "limpet: the file of --trace cannot be opened for writing\n");
    host3(NR_CLOSE, file, 0, 0);
}

/* What was open while the monitor was set up is closed by now.  A parent beside the guest's
 * process has no part in it. */
static void place_trace(u64 scopes) {
    if (!scopes)
        return;
    host3(NR_DUP2, TRACE_ASIDE, TRACE_FD, 0);
    host3(NR_CLOSE, TRACE_ASIDE, 0, 0);
}

static inline void help_trace(void) {
    static const char line[] = "  --trace=FILE                      what the program asks for, for "
                               "limpet trace; the first word\n";
    host3(NR_WRITE, STDOUT, (long)line, sizeof line - 1);
}
