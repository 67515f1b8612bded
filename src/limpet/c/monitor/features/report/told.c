/* A bundle whose guest can run in a process.  The monitor's page is not there then: it is among
 * what is unmapped before the guest starts, so that a guest cannot say that its monitor counted. */
static struct tally share_tally(void) {
    share_counts(COUNTS_AT);
    share_counts(GUEST_COUNTS_AT);
    return (struct tally){0};
}

static char *add_tally(char *to, const struct tally *before) {
    (void)before;
    if (COUNTS->counted)
        return add_counts(to, COUNTS, "monitor");
    return add_counts(to, (const struct counts *)GUEST_COUNTS_AT, "guest");
}
