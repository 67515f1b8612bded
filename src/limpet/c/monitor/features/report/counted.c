/* A bundle whose guest runs in a virtual machine alone: its monitor counts. */
static struct tally share_tally(void) {
    share_counts(COUNTS_AT);
    return (struct tally){0};
}

static char *add_tally(char *to, const struct tally *before) {
    (void)before;
    return add_counts(to, COUNTS, "monitor");
}
