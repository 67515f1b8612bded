/* What the broker tells its log of names. */
#include "broker/broker.h"
#define LOG_TIME(now) host3(NR_CLOCK_GETTIME, CLOCK_REALTIME, now, 0)
#define LOG_WRITE(at, size) host3(NR_WRITE, STDERR, at, size)
#include "log_lines.h"

/* Letters, digits, - and _ as they are; no other byte of the guest's comes to a terminal. */
static void put_label(struct log_line *line, const u8 *label, u32 size) {
    for (u32 i = 0; i < size; i++) {
        if ((u8)((label[i] | 32) - 'a') < 26 || (u8)(label[i] - '0') < 10 || label[i] == '-' ||
            label[i] == '_') {
            put_byte(line, (char)label[i]);
        } else {
            put_words(line, "\\u");
            put_hex_digits(line, label[i], 4);
        }
    }
}

static void put_name(struct log_line *line, const struct dns_name *name) {
    for (u32 at = 0; at < name->size && name->bytes[at]; at += 1U + name->bytes[at]) {
        if (at)
            put_byte(line, '.');
        put_label(line, name->bytes + at + 1, name->bytes[at]);
    }
}

/* A name that is not answered, or an address of one that is left out of the answer. */
static void log_name(struct broker *broker, const struct dns_name *name,
                     const struct broker_address *address, const char *why) {
    struct log_line line;
    if (!may_log(&broker->pace, broker->now))
        return;
    put_time(&line);
    put_words(&line, address ? ",\"refused\":\"answer\",\"name\":\""
                             : ",\"refused\":\"name\",\"name\":\"");
    put_name(&line, name);
    if (address) {
        put_words(&line, "\",\"address\":\"");
        put_address(&line, address->bytes);
    }
    end_line(&line, why);
}
