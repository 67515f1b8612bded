/* A line that is still edited: what its keys take away, and the line shown again. */
#include "parts/terminals/terminals.h"

static u8 at(const struct terminal_pair *pair, u64 place) {
    return (u8)pair->input[place % INPUT_ROOM];
}

static bool is_word(u8 byte) {
    u8 lower = byte | 040;
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
}

static u64 width(const struct terminal_pair *pair, u8 byte, u64 column) {
    if (byte == '\t')
        return 8 - column % 8;
    if (byte < ' ' || byte == 0x7f)
        return mode(pair, ECHOCTL) ? 2 : 0;
    return !(pair->modes.input & IUTF8 && (byte & 0xc0) == 0x80);
}

/* Where the character before `end` stands in its line. */
static u64 column_at(const struct terminal_pair *pair, u64 end) {
    u64 column = pair->line_column;
    for (u64 place = pair->lines; place < end; place++)
        column += width(pair, at(pair, place), column);
    return column;
}

/* The last character: more bytes than one in UTF-8. */
static u64 last_character(const struct terminal_pair *pair) {
    u64 place = pair->written;
    do
        place--;
    while (pair->modes.input & IUTF8 && (at(pair, place) & 0xc0) == 0x80 && place > pair->lines);
    return place;
}

/* All of it, where its characters are not taken from the screen one by one. */
static void kill_line(struct terminal_pair *pair) {
    pair->written = pair->lines;
    if (!mode(pair, ECHO))
        return;
    echo(pair, pair->modes.keys[VKILL]);
    if (mode(pair, ECHOK))
        output_processed(pair, '\n');
}

void line_erase(struct terminal_pair *pair, enum key key) {
    const u32 all = ECHO | ECHOK | ECHOKE | ECHOE;
    bool word = false;
    if (pair->written == pair->lines)
        return;
    if (key == VKILL && (pair->modes.local & all) != all) {
        kill_line(pair);
        return;
    }
    while (pair->written > pair->lines) {
        u64 place = last_character(pair);
        u8 byte = at(pair, place);
        if (key == VWERASE && !is_word(byte) && word)
            break;
        word |= is_word(byte);
        pair->written = place;
        if (mode(pair, ECHO) && key == VERASE && !mode(pair, ECHOE))
            echo(pair, pair->modes.keys[VERASE]);
        else if (mode(pair, ECHO))
            echo_erased(pair, byte, column_at(pair, place));
        if (key == VERASE)
            break;
    }
}

void line_show_again(struct terminal_pair *pair) {
    echo(pair, pair->modes.keys[VREPRINT]);
    output_processed(pair, '\n');
    for (u64 place = pair->lines; place < pair->written; place++)
        echo(pair, at(pair, place));
}
