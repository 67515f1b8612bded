/* A report's text.  All of it is numbers and words of this file: nothing of the guest's. */
static char *add_text(char *to, const char *text) {
    while (*text)
        *to++ = *text++;
    return to;
}

enum { NUMBER_DIGITS = 20, MICRO_DIGITS = 6, NANO_DIGITS = 9 };

/* The last digits of a number, by subtraction: a monitor has no division. */
static char *add_digits(char *to, u64 number, int count) {
    static const u64 powers[NUMBER_DIGITS] = {10000000000000000000UL,
                                              1000000000000000000UL,
                                              100000000000000000UL,
                                              10000000000000000UL,
                                              1000000000000000UL,
                                              100000000000000UL,
                                              10000000000000UL,
                                              1000000000000UL,
                                              100000000000UL,
                                              10000000000UL,
                                              1000000000UL,
                                              100000000UL,
                                              10000000UL,
                                              1000000UL,
                                              100000UL,
                                              10000UL,
                                              1000UL,
                                              100UL,
                                              10UL,
                                              1UL};
    for (int i = NUMBER_DIGITS - count; i < NUMBER_DIGITS; i++) {
        char digit = '0';
        for (; number >= powers[i]; number -= powers[i])
            digit++;
        *to++ = digit;
    }
    return to;
}

static char *add_number(char *to, u64 number) {
    char digits[NUMBER_DIGITS], *first = digits;
    char *end = add_digits(digits, number, NUMBER_DIGITS);
    while (first < end - 1 && *first == '0')
        first++;
    while (first < end)
        *to++ = *first++;
    return to;
}

/* A line of the object: a name, and a number. */
static char *add_member(char *to, const char *name, u64 number) {
    to = add_text(add_text(add_text(to, ",\n \""), name), "\": ");
    return add_number(to, number);
}

/* The same with a fraction of so many digits. */
static char *add_time(char *to, const char *name, const u64 time[2], int digits) {
    return add_digits(add_text(add_member(to, name, time[0]), "."), time[1], digits);
}

/* Why a monitor ended that nobody killed.  A guest that chooses one of these statuses itself
 * cannot be told from one that its monitor ended. */
static const char *reason_of(u64 status) {
    if (status == EXIT_OUTPUT)
        return "output limit, or the guest's own status";
    if (status == EXIT_TIMEOUT)
        return "timeout, or the guest's own status";
    if (status == EXIT_REFUSED || status == EXIT_CANNOT_START)
        return "refused or not started, or the guest's own status";
    return "exit";
}
