/*
 * A guest that makes its own system calls: the host's kernel counts, for each process and for those
 * of its children that have ended, in /proc/self/io.
 *
 * What the parent did before, and the child before its filter, is none of the guest's.  The child
 * says that in a page that is unmapped when the guest starts.
 */
enum { IO_MOST = 512, IO_LINES = 4 };

struct tally {
    u64 lines[IO_LINES]; /* bytes read and written, how many reads and writes */
    u64 look;            /* bytes that the look itself read, 0 where the host shows nothing */
};

#define TALLY ((struct tally *)COUNTS_AT)

static const char *take_line(const char *at, u64 *number) {
    for (*number = 0; *at && *at != '\n'; at++)
        if (*at >= '0' && *at <= '9')
            *number = *number * 10 + (u64)(*at - '0');
    return *at ? at + 1 : at;
}

static struct tally look_at_tally(void) {
    struct tally found = {{0}, 0};
    char text[IO_MOST] = {0};
    const char *at = text;
    long fd = host4(NR_OPENAT, AT_FDCWD, (long)"/proc/self/io", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return found;
    long got = host3(NR_READ, fd, (long)text, IO_MOST - 1);
    host3(NR_CLOSE, fd, 0, 0);
    found.look = got > 0 ? (u64)got : 0;
    for (int i = 0; i < IO_LINES; i++)
        at = take_line(at, &found.lines[i]);
    return found;
}

/* What is counted before the guest: the look as well, which is one read. */
static struct tally tally_so_far(void) {
    struct tally found = look_at_tally();
    found.lines[0] += found.look, found.lines[2]++;
    return found;
}

static struct tally share_tally(void) {
    long got = host6(NR_MMAP, COUNTS_AT, sizeof(struct tally), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != (long)COUNTS_AT)
        die(EXIT_CANNOT_START, "limpet: the host gives no memory for --report=FILE\n");
    return tally_so_far();
}

static inline void guest_starts(void) {
    *TALLY = tally_so_far();
}

static char *add_tally(char *to, const struct tally *before) {
    struct tally now = look_at_tally();
    if (!before->look || !TALLY->look || !now.look)
        return add_text(to, ",\n \"counted_by\": null");
    for (int i = 0; i < IO_LINES; i++)
        now.lines[i] -= before->lines[i] + TALLY->lines[i];
    to = add_member(add_member(to, "bytes_in", now.lines[0]), "bytes_out", now.lines[1]);
    to = add_text(to, ",\n \"counted_by\": \"kernel\",\n \"hypercalls\": {\n  \"reads\": ");
    to = add_text(add_number(to, now.lines[2]), ",\n  \"writes\": ");
    return add_text(add_number(to, now.lines[3]), "\n }");
}
