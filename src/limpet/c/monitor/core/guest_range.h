static _Noreturn void refuse(const char *line) {
    die(EXIT_REFUSED, line);
}

/* Where guest addresses end.  The one function that turns guest addresses into a pointer of ours.
 * Guest memory lies at its own addresses, so this is a comparison; it cannot wrap. */
static void *guest_range(struct guest_addr from, u64 size, u64 low, u64 high) {
    if (from.at < low || from.at >= high || size > high - from.at)
        return NULL;
    return (void *)from.at;
}
