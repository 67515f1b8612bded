/* The host's /etc/resolv.conf and /etc/hosts, opened at start.  They are the operator's, and yet a
 * line that cannot be read is only left out. */
#include "broker/broker.h"

enum { HOST_FILE_MOST = 65536 };

struct text {
    const char *at, *end;
};

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* The next word of a line, empty at its end or at a comment. */
static struct text next_word(struct text *line) {
    while (line->at < line->end && is_blank(*line->at))
        line->at++;
    struct text word = {line->at, line->at};
    while (word.end < line->end && !is_blank(*word.end) && *word.end != '#' && *word.end != ';')
        word.end++;
    line->at = word.end == word.at ? line->end : word.end;
    return word;
}

static struct text next_line(struct text *all) {
    struct text line = {all->at, all->at};
    while (line.end < all->end && *line.end != '\n')
        line.end++;
    all->at = line.end < all->end ? line.end + 1 : line.end;
    return line;
}

static int digit_of(char byte) {
    return (u8)(byte - '0') < 10         ? byte - '0'
           : (u8)((byte | 32) - 'a') < 6 ? (byte | 32) - 'a' + 10
                                         : 99;
}

/* A number of at most four digits; negative: there is none. */
static s32 read_digits(struct text *text, int base) {
    s32 value = 0, count = 0;
    while (text->at < text->end && digit_of(*text->at) < base && count < 4) {
        value = value * base + digit_of(*text->at++);
        count++;
    }
    return count ? value : -1;
}

static bool read_v4(struct text text, u8 *to) {
    for (int i = 0; i < 4; i++) {
        s32 value = read_digits(&text, 10);
        if (value < 0 || value > 255)
            return false;
        to[i] = (u8)value;
        if (i < 3 && (text.at == text.end || *text.at++ != '.'))
            return false;
    }
    return text.at == text.end;
}

/* Moves what stands behind "::" to the end. */
static bool spread(u8 *to, u32 used, s32 gap) {
    if (gap < 0)
        return used == 16;
    u32 behind = used - (u32)gap;
    for (u32 i = 0; i < behind; i++)
        to[15 - i] = to[used - 1 - i];
    memset(to + gap, 0, 16 - used);
    return used < 16;
}

static bool read_v6(struct text text, u8 *to) {
    u32 used = 0;
    s32 gap = -1;
    while (text.at < text.end) {
        if (text.end - text.at >= 2 && text.at[0] == ':' && text.at[1] == ':' && gap < 0) {
            gap = (s32)used, text.at += 2;
            continue;
        }
        if (used && gap != (s32)used && *text.at++ != ':')
            return false;
        if (used <= 12 && read_v4(text, to + used))
            return spread(to, used + 4, gap);
        s32 value = read_digits(&text, 16);
        if (value < 0 || used == 16)
            return false;
        to[used++] = (u8)(value >> 8), to[used++] = (u8)value;
    }
    return spread(to, used, gap);
}

static bool read_address(struct text text, struct broker_address *to) {
    u8 v4[4];
    if (!read_v4(text, v4))
        return read_v6(text, to->bytes);
    *to = of_v4(v4);
    return true;
}

static bool is_word(struct text text, const char *word) {
    while (text.at < text.end && *word && *text.at == *word)
        text.at++, word++;
    return text.at == text.end && !*word;
}

static void read_server(struct broker *broker, struct text line) {
    if (is_word(next_word(&line), "nameserver") && broker->servers < SERVERS_MOST &&
        read_address(next_word(&line), &broker->server[broker->servers]))
        broker->servers++;
}

/* A name with dots as packets have it. */
static bool read_name(struct text text, struct dns_name *name) {
    name->size = 0;
    while (text.at < text.end) {
        u32 length_at = name->size++;
        while (text.at < text.end && *text.at != '.' && name->size < NAME_MOST - 1)
            name->bytes[name->size++] = lower((u8)*text.at++);
        u32 size = name->size - length_at - 1;
        if (!size || size > 63 || (text.at < text.end && *text.at++ != '.'))
            return false;
        name->bytes[length_at] = (u8)size;
    }
    name->bytes[name->size++] = 0;
    return name->size > 1;
}

static void read_host(struct broker *broker, struct text line) {
    struct broker_address address;
    if (!read_address(next_word(&line), &address))
        return;
    for (;;) {
        struct text word = next_word(&line);
        if (word.at == word.end || broker->hosts == HOSTS_MOST)
            return;
        struct broker_host *host = &broker->host[broker->hosts];
        host->address = address;
        if (read_name(word, &host->name) && rules_of_name(broker->policy, &host->name))
            broker->hosts++;
    }
}

/* All lines of what is open at `fd`; where the host has no such file it is not. */
static void read_lines(struct broker *broker, long fd,
                       void (*take)(struct broker *broker, struct text line)) {
    char bytes[HOST_FILE_MOST];
    struct text all = {bytes, bytes};
    long got;
    while ((got = host3(NR_READ, fd, (long)all.end, bytes + sizeof bytes - all.end)) > 0)
        all.end += got;
    host3(NR_CLOSE, fd, 0, 0);
    while (all.at < all.end)
        take(broker, next_line(&all));
}

/* Where resolv.conf(5) names no server, it is on the host itself. */
static void read_host_files(struct broker *broker) {
    static const u8 loopback[4] = {127, 0, 0, 1};
    read_lines(broker, RESOLV_CONF, read_server);
    read_lines(broker, HOSTS, read_host);
    if (!broker->servers)
        broker->server[broker->servers++] = of_v4(loopback);
}
