/*
 * BUNDLE --help, as its very first word: what it takes before the guest's own arguments.
 * Names of devices are those of the table, which has letters and digits only.
 */
enum { HELP_ROOM = 256, HELP_COLUMN = 36 };

static void help_line(const char *option, const char *name, const char *value, const char *what) {
    char line[HELP_ROOM];
    char *to = put_text(put_text(put_text(put_text(line, "  "), option), name), value);
    do
        *to++ = ' ';
    while (to - line < HELP_COLUMN);
    to = put_text(put_text(to, what), "\n");
    host3(NR_WRITE, STDOUT, (long)line, to - line);
}

static void give_help(const u64 *stack) {
    static const char usage[] = "usage: BUNDLE [ OPTIONS ] [ -- ] [ ARGS ]\n"
                                "ARGS are the guest's own arguments.\n"
                                "Options:\n";
    const char *word = stack[0] > 1 ? behind((const char *)stack[2], "--help") : NULL;
    if (!word || *word)
        return;
    host3(NR_WRITE, STDOUT, (long)usage, sizeof usage - 1);
    help_options();
    help_line("--help", "", "", "this, as the first word");
    for (;;)
        host3(NR_EXIT_GROUP, 0, 0, 0);
}
