/* What a terminal's program writes, and what it sees of what is typed: both go to the master. */
#include "parts/terminals/terminals.h"

#define TAB_STOP 8

u64 output_room(const struct terminal_pair *pair) {
    return OUTPUT_ROOM - (pair->out_written - pair->out_read);
}

void output_plain(struct terminal_pair *pair, u8 byte) {
    if (output_room(pair))
        pair->output[pair->out_written++ % OUTPUT_ROOM] = byte;
}

static void new_line(struct terminal_pair *pair) {
    if (pair->modes.output & ONLRET)
        pair->column = 0;
    if (pair->modes.output & ONLCR) {
        pair->column = 0;
        output_plain(pair, '\r');
    }
    output_plain(pair, '\n');
    pair->line_column = pair->column;
}

static void carriage_return(struct terminal_pair *pair) {
    if (pair->modes.output & ONOCR && !pair->column)
        return;
    if (!(pair->modes.output & OCRNL)) {
        pair->column = pair->line_column = 0;
        output_plain(pair, '\r');
        return;
    }
    if (pair->modes.output & ONLRET)
        pair->column = pair->line_column = 0;
    output_plain(pair, '\n');
}

static void tab(struct terminal_pair *pair) {
    u64 spaces = TAB_STOP - pair->column % TAB_STOP;
    pair->column += spaces;
    if ((pair->modes.output & XTABS) != XTABS) {
        output_plain(pair, '\t');
        return;
    }
    while (spaces--)
        output_plain(pair, ' ');
}

static bool is_control(u8 byte) {
    return byte < ' ' || (byte >= 0x7f && byte < 0xa0);
}

void output_processed(struct terminal_pair *pair, u8 byte) {
    bool inside = pair->modes.input & IUTF8 && (byte & 0xc0) == 0x80; /* of a character */
    if (!(pair->modes.output & OPOST)) {
        output_plain(pair, byte);
        return;
    }
    switch (byte) {
    case '\n':
        new_line(pair);
        return;
    case '\r':
        carriage_return(pair);
        return;
    case '\t':
        tab(pair);
        return;
    case '\b':
        pair->column -= pair->column > 0;
        break;
    default:
        pair->column += !is_control(byte) && !inside;
    }
    output_plain(pair, byte);
}

/* A control key is two characters. */
void echo(struct terminal_pair *pair, u8 byte) {
    if (!mode(pair, ECHOCTL) || byte == '\t' || byte == '\n' || (byte >= ' ' && byte != 0x7f)) {
        output_processed(pair, byte);
        return;
    }
    output_plain(pair, '^');
    output_plain(pair, byte ^ 0100);
    pair->column += 2;
}

static void back(struct terminal_pair *pair) {
    output_plain(pair, '\b');
    output_plain(pair, ' ');
    output_plain(pair, '\b');
    pair->column -= pair->column > 0;
}

void echo_erased(struct terminal_pair *pair, u8 byte, u64 before) {
    bool control = byte < ' ' || byte == 0x7f;
    if (byte == '\t') {
        for (u64 spaces = TAB_STOP - before % TAB_STOP; spaces; spaces--) {
            output_plain(pair, '\b');
            pair->column -= pair->column > 0;
        }
        return;
    }
    if (control && mode(pair, ECHOCTL))
        back(pair);
    if (!control || mode(pair, ECHOCTL))
        back(pair);
}
