/*
 * Hypercalls by kind, and the bytes that they moved, in pages that the report's writer shares.
 *
 * On kvm the monitor counts, in a page that its guest cannot reach.  In a process the library OS
 * does, and the guest can write there what it likes: numbers are all that is taken from there, and
 * the report says who counted.
 */
enum { MADV_DONTFORK = 10 };

#define COUNTS ((struct counts *)COUNTS_AT)

struct tally {
    u64 none; /* what was counted before: nothing */
};

static void share_counts(u64 at) {
    long got = host6(NR_MMAP, (long)at, sizeof(struct counts), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != (long)at)
        die(EXIT_CANNOT_START, "limpet: the host gives no memory for --report=FILE\n");
}

/* Processes that start from here on, beside the guest, are not given what they have no use for: one
 * that a guest has broken would write there. */
static inline void keep_counts(u64 at) {
    host3(NR_MADVISE, (long)at, sizeof(struct counts), MADV_DONTFORK);
}

static inline void count_call(u32 number) {
    COUNTS->calls[number]++;
}

static inline void count_bytes(u64 *to, long count) {
    *to += count > 0 ? (u64)count : 0;
}

static inline void monitor_counts(void) {
    COUNTS->counted = 1;
}

static char *add_call(char *to, const char *start, const char *name, u64 count) {
    if (!count)
        return to;
    to = add_text(to, to == start ? "\n  \"" : ",\n  \"");
    return add_number(add_text(add_text(to, name), "\": "), count);
}

static char *add_counts(char *to, const struct counts *from, const char *who) {
    to = add_member(to, "bytes_in", from->bytes_in);
    to = add_member(to, "bytes_out", from->bytes_out);
    to = add_text(add_text(add_text(to, ",\n \"counted_by\": \""), who), "\"");
    to = add_text(to, ",\n \"hypercalls\": {");
    const char *start = to;
#define ADD_CALL(NAME, NUMBER) to = add_call(to, start, #NAME, from->calls[NUMBER]);
    EACH_HYPERCALL(ADD_CALL)
    return add_text(to, "\n }");
}
