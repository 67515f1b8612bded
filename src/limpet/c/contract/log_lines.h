/*
 * Lines of the log: one of JSON for each refusal, for the operator.
 *
 * The guest's words are in it, quoted and bounded.  A guest that is refused without end writes a
 * line a second: how many were left out is told.  Who includes this says how a line is written
 * (LOG_WRITE), and what the time is (LOG_TIME).
 */
#ifndef LIMPET_LOG_LINES_H
#define LIMPET_LOG_LINES_H

#include "broker_messages.h"
#include "host.h"

enum { LINES_AT_ONCE = 256, LOG_LINE_MOST = 2048 };
#define LOG_SECOND 1000000000L

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

static bool is_mapped(const u8 *address) {
    for (u32 i = 0; i < 12; i++)
        if (address[i] != (i < 10 ? 0 : 0xff))
            return false;
    return true;
}

static void put_address(struct log_line *line, const u8 *bytes) {
    if (is_mapped(bytes)) {
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
    LOG_TIME((long)&now);
    line->size = 0;
    put_words(line, "{\"time\":");
    put_number(line, (u64)now.seconds, 1);
    put_byte(line, '.');
    put_number(line, (u64)now.nanoseconds / 1000000, 3);
}

static void write_line(struct log_line *line) {
    put_words(line, "}\n");
    LOG_WRITE((long)line->at, line->size);
}

/* How many were left out, once there is room to say so. */
static void tell_left_out(struct log_pace *pace) {
    struct log_line line;
    if (!pace->left_out)
        return;
    put_time(&line);
    put_words(&line, ",\"left_out\":");
    put_number(&line, (u64)pace->left_out, 1);
    write_line(&line);
    pace->left_out = 0;
}

/* Whether one more line may be written. */
static bool may_log(struct log_pace *pace, s64 now) {
    s64 since = (now - pace->since) / LOG_SECOND;
    if (since > 0) {
        pace->lines = since < LINES_AT_ONCE - pace->lines ? pace->lines + since : LINES_AT_ONCE;
        pace->since = now;
    }
    if (!pace->lines) {
        pace->left_out++;
        return false;
    }
    pace->lines--;
    tell_left_out(pace);
    return true;
}

static void end_line(struct log_line *line, const char *why) {
    put_words(line, "\",\"why\":\"");
    put_words(line, why);
    put_byte(line, '"');
    write_line(line);
}

static inline void log_connection(struct log_pace *pace, s64 now,
                                  const struct broker_request *request, const char *why) {
    struct log_line line;
    if (!may_log(pace, now))
        return;
    put_time(&line);
    put_words(&line, ",\"refused\":\"connection\",\"address\":\"");
    put_address(&line, request->address);
    put_words(&line, "\",\"port\":");
    put_number(&line, request->port, 1);
    put_words(&line, request->what == BROKER_UDP ? ",\"protocol\":\"udp" : ",\"protocol\":\"tcp");
    end_line(&line, why);
}

/* As the guest's library OS tells it; a guest that does not, gets nothing either. */
static inline void log_family(struct log_pace *pace, s64 now,
                              const struct broker_request *request) {
    struct log_line line;
    if (!may_log(pace, now))
        return;
    put_time(&line);
    put_words(&line, ",\"refused\":\"socket\",\"family\":");
    put_number(&line, request->port, 1);
    put_words(&line, ",\"type\":\"");
    put_number(&line, request->address[0], 1);
    end_line(&line, "there are no such sockets");
}

#endif
