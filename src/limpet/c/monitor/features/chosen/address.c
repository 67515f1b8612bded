/*
 * Addresses and ports of the command line, in their one spelling: digits without a leading zero, an
 * IPv6 address in brackets and without a dotted part.  What others would take for the same in other
 * words (octal, hexadecimal, fewer parts, a zone) is none.
 */
#include "core/words.h"

enum { BITS = 8, V4_BYTES = 4, V6_BYTES = 16, V6_GROUPS = 8, GROUP_DIGITS = 4, PORT_MOST = 65535 };

/* Digits up to `end`, which comes behind them; NULL: they are no such number. */
static const char *take_decimal(const char *text, char end, u64 most, u64 *number) {
    const char *at = text;
    for (*number = 0; *at >= '0' && *at <= '9' && *number <= most; at++)
        *number = *number * 10 + (u64)(*at - '0');
    bool spare = *text == '0' && at != text + 1;
    return at == text || *at != end || *number > most || spare ? NULL : at;
}

/* Behind "A.B.C.D:"; NULL: it is none. */
static const char *take_version_4(const char *text, u8 host[V6_BYTES]) {
    for (u64 i = 0; i < V4_BYTES; i++) {
        u64 part;
        const char *end = take_decimal(text, i + 1 < V4_BYTES ? '.' : ':', 255, &part);
        if (!end)
            return NULL;
        host[i] = (u8)part;
        text = end + 1;
    }
    return text;
}

static u32 digit_of(char letter) {
    if (letter >= '0' && letter <= '9')
        return (u32)(letter - '0');
    if (letter >= 'a' && letter <= 'f')
        return (u32)(letter - 'a') + 10;
    if (letter >= 'A' && letter <= 'F')
        return (u32)(letter - 'A') + 10;
    return V6_BYTES;
}

static const char *take_group(const char *text, u8 *group) {
    u32 value = 0, digits = 0;
    for (; digits < GROUP_DIGITS && digit_of(*text) < V6_BYTES; digits++)
        value = value << 4 | digit_of(*text++);
    group[0] = (u8)(value >> BITS), group[1] = (u8)value;
    return digits ? text : NULL;
}

/* What was taken behind the "::" stands at the end. */
static void widen(u8 host[V6_BYTES], u64 gap, u64 taken) {
    for (u64 i = V6_BYTES; i-- > gap;) {
        u64 behind_gap = taken - gap;
        host[i] = i >= V6_BYTES - behind_gap ? host[i - (V6_BYTES - taken)] : 0;
    }
}

/* Behind "[GROUPS]:"; NULL: it is none. */
static const char *take_version_6(const char *text, u8 host[V6_BYTES]) {
    u64 taken = 0, gap = V6_BYTES + 1;
    if (*text++ != '[')
        return NULL;
    if (text[0] == ':' && text[1] == ':')
        gap = 0, text += 2;
    while (text && *text != ']') {
        if (taken == V6_BYTES)
            return NULL;
        text = take_group(text, host + taken);
        taken += 2;
        if (!text || *text == ']')
            break;
        if (*text++ != ':')
            return NULL;
        if (*text == ':' && gap > V6_BYTES)
            gap = taken, text++;
        else if (*text == ']')
            return NULL;
    }
    if (!text || text[1] != ':' || (gap > V6_BYTES) != (taken == V6_BYTES))
        return NULL;
    if (gap <= V6_BYTES)
        widen(host, gap, taken);
    return text + 2;
}

/* Whether the first bits are those of a network. */
static bool is_in(const u8 host[V6_BYTES], const u8 network[V6_BYTES], u32 prefix) {
    for (u32 i = 0; i < prefix; i++)
        if ((host[i / BITS] ^ network[i / BITS]) & (0x80U >> i % BITS))
            return false;
    return true;
}
