/* What --help says of each port and endpoint that a start chooses. */
static void help_choices(void) {
    for (u64 i = 0; i < CHOICES; i++) {
        const struct choice *choice = choice_at(i);
        char what[HELP_ROOM];
        *put_text(put_text(what, choice->connects ? "where it may connect to; wanted, at most "
                                                  : "a port of this host; wanted, at most "),
                  choice->text) = 0;
        help_line(choice->connects ? "--connect:" : "-p:", choice->name,
                  choice->connects ? "=ADDRESS:PORT" : "=[ADDRESS:]PORT", what);
    }
}
