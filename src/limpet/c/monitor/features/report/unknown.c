/* A guest that makes its own system calls, behind a parent that passes its output on: what the
 * host's kernel counts is of both. */
struct tally {
    u64 none;
};

static struct tally share_tally(void) {
    return (struct tally){0};
}

static char *add_tally(char *to, const struct tally *before) {
    (void)before;
    return add_text(to, ",\n \"counted_by\": null");
}
