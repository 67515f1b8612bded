/* Words of the starter's: of the command line, and of the environment. */
#ifndef LIMPET_WORDS_H
#define LIMPET_WORDS_H

static __attribute__((unused)) const char *behind(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++)
            return NULL;
    return text;
}

static inline bool parse_number(const char *text, u64 most, u64 *number) {
    const char *at = text;
    for (*number = 0; *at >= '0' && *at <= '9' && *number <= most; at++)
        *number = *number * 10 + (u64)(*at - '0');
    return at != text && !*at && *number <= most;
}

#endif
