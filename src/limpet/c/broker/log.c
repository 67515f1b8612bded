/*
 * The log: one JSON line for each refusal, for the operator.
 *
 * The guest's words are in it, quoted and bounded.  A guest that is refused without end writes a
 * line a second: how many were left out is told.
 */
#include "broker/broker.h"

enum { LINES_AT_ONCE = 256, LOG_LINE_MOST = 2048 };

struct log_line {
    u32 size;
    char at[LOG_LINE_MOST];
};

static void put_byte(struct log_line *line, char byte) {
    if (line->size < LOG_LINE_MOST)
        line->at[line->size++] = byte;
}

static void put_words(struct log_line *line, const char *words) {
    for (; *words; words++)
        put_byte(line, *words);
}

static void put_number(struct log_line *line, u64 value, u32 digits) {
    char text[20];
    u32 count = 0;
    do
        text[count++] = (char)('0' + value % 10);
    while ((value /= 10) || count < digits);
    while (count)
        put_byte(line, text[--count]);
}

static void put_hex_digits(struct log_line *line, u32 value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        put_byte(line, "0123456789abcdef"[value >> shift & 15]);
}

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

static void put_address(struct log_line *line, const struct broker_address *address) {
    const u8 *bytes = address->bytes;
    if (is_v4(address)) {
        for (u32 i = 12; i < 16; i++) {
            put_number(line, bytes[i], 1);
            if (i < 15)
                put_byte(line, '.');
        }
        return;
    }
    for (u32 i = 0; i < 16; i += 2) {
        if (i)
            put_byte(line, ':');
        put_hex_digits(line, (u32)bytes[i] << 8 | bytes[i + 1], 4);
    }
}

static void put_time(struct log_line *line) {
    struct timespec now = {0, 0};
    host3(NR_CLOCK_GETTIME, CLOCK_REALTIME, (long)&now, 0);
    line->size = 0;
    put_words(line, "{\"time\":");
    put_number(line, (u64)now.seconds, 1);
    put_byte(line, '.');
    put_number(line, (u64)now.nanoseconds / 1000000, 3);
}

static void write_line(struct log_line *line) {
    put_words(line, "}\n");
    host3(NR_WRITE, LOG, (long)line->at, line->size);
}

/* How many were left out, once there is room to say so. */
static void tell_left_out(struct broker *broker) {
    struct log_line line;
    if (!broker->left_out)
        return;
    put_time(&line);
    put_words(&line, ",\"left_out\":");
    put_number(&line, (u64)broker->left_out, 1);
    write_line(&line);
    broker->left_out = 0;
}

/* Whether one more line may be written. */
static bool may_log(struct broker *broker) {
    s64 since = (broker->now - broker->lines_at) / BROKER_SECOND;
    if (since > 0) {
        broker->lines =
            since < LINES_AT_ONCE - broker->lines ? broker->lines + since : LINES_AT_ONCE;
        broker->lines_at = broker->now;
    }
    if (!broker->lines) {
        broker->left_out++;
        return false;
    }
    broker->lines--;
    tell_left_out(broker);
    return true;
}

static void end_line(struct log_line *line, const char *why) {
    put_words(line, "\",\"why\":\"");
    put_words(line, why);
    put_byte(line, '"');
    write_line(line);
}

/* A name that is not answered, or an address of one that is left out of the answer. */
static void log_name(struct broker *broker, const struct dns_name *name,
                     const struct broker_address *address, const char *why) {
    struct log_line line;
    if (!may_log(broker))
        return;
    put_time(&line);
    put_words(&line, address ? ",\"refused\":\"answer\",\"name\":\""
                             : ",\"refused\":\"name\",\"name\":\"");
    put_name(&line, name);
    if (address) {
        put_words(&line, "\",\"address\":\"");
        put_address(&line, address);
    }
    end_line(&line, why);
}

static void log_connection(struct broker *broker, const struct broker_request *request,
                           const char *why) {
    struct log_line line;
    if (!may_log(broker))
        return;
    put_time(&line);
    put_words(&line, ",\"refused\":\"connection\",\"address\":\"");
    put_address(&line, (const struct broker_address *)request->address);
    put_words(&line, "\",\"port\":");
    put_number(&line, request->port, 1);
    put_words(&line, request->what == BROKER_UDP ? ",\"protocol\":\"udp" : ",\"protocol\":\"tcp");
    end_line(&line, why);
}
