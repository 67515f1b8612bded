/* What is typed at the master: keys that mean something, and the characters that can be read. */
#include "parts/terminals/terminals.h"

enum { SIGNAL_INTERRUPT = 2, SIGNAL_QUIT = 3, SIGNAL_STOP = 20 };

static bool is_key(const struct terminal_pair *pair, u8 byte, enum key key) {
    return byte && byte == pair->modes.keys[key];
}

u64 input_ready(const struct terminal_pair *pair) {
    return (mode(pair, ICANON) ? pair->lines : pair->written) - pair->read;
}

static void put(struct terminal_pair *pair, u16 character) {
    if (pair->written - pair->read < INPUT_ROOM)
        pair->input[pair->written++ % INPUT_ROOM] = character;
    if (character & (LINE_END | FILE_END))
        pair->lines = pair->written;
}

/* What is on its way is lost, but with NOFLSH. */
static void signal_key(struct terminal_pair *pair, int number, u8 byte) {
    if (!mode(pair, NOFLSH)) {
        pair->read = pair->lines = pair->written;
        pair->out_read = pair->out_written;
    }
    if (is_controlling(pair))
        signal_raise(number);
    if (pair->modes.input & IXON)
        pair->stopped = false;
    if (mode(pair, ECHO))
        echo(pair, byte);
}

/* Keys that are no characters, whether lines are edited or not. */
static bool take_key(struct terminal_pair *pair, u8 byte) {
    static const struct {
        enum key key;
        int number;
    } signals[] = {{VINTR, SIGNAL_INTERRUPT}, {VQUIT, SIGNAL_QUIT}, {VSUSP, SIGNAL_STOP}};
    bool flow = pair->modes.input & IXON;
    if (flow && (is_key(pair, byte, VSTART) || is_key(pair, byte, VSTOP))) {
        pair->stopped = !is_key(pair, byte, VSTART);
        return true;
    }
    for (u64 i = 0; mode(pair, ISIG) && i < COUNT(signals); i++)
        if (is_key(pair, byte, signals[i].key)) {
            signal_key(pair, signals[i].number, byte);
            return true;
        }
    return false;
}

/* Those that edit the line. */
static bool take_editing(struct terminal_pair *pair, u8 byte) {
    bool more = mode(pair, IEXTEN);
    if (is_key(pair, byte, VERASE) || is_key(pair, byte, VKILL) ||
        (more && is_key(pair, byte, VWERASE))) {
        line_erase(pair, is_key(pair, byte, VERASE)  ? VERASE
                         : is_key(pair, byte, VKILL) ? VKILL
                                                     : VWERASE);
        return true;
    }
    if (more && is_key(pair, byte, VLNEXT)) {
        pair->quoted = true;
        if (mode(pair, ECHO) && mode(pair, ECHOCTL)) {
            output_plain(pair, '^');
            output_plain(pair, '\b');
        }
        return true;
    }
    if (more && mode(pair, ECHO) && is_key(pair, byte, VREPRINT)) {
        line_show_again(pair);
        return true;
    }
    return false;
}

/* The end of a line, or of the file. */
static bool take_end(struct terminal_pair *pair, u8 byte) {
    if (byte == '\n') {
        if (mode(pair, ECHO | ECHONL))
            output_processed(pair, '\n');
        put(pair, '\n' | LINE_END);
        return true;
    }
    if (is_key(pair, byte, VEOF)) {
        put(pair, FILE_END);
        return true;
    }
    if (!is_key(pair, byte, VEOL) && !(is_key(pair, byte, VEOL2) && mode(pair, IEXTEN)))
        return false;
    if (mode(pair, ECHO))
        echo(pair, byte);
    put(pair, byte | LINE_END);
    return true;
}

static void take_character(struct terminal_pair *pair, u8 byte) {
    if (mode(pair, ECHO)) {
        if (pair->lines == pair->written)
            pair->line_column = pair->column;
        echo(pair, byte);
    }
    /* room for the line's end is left */
    if (!mode(pair, ICANON) || pair->written - pair->read < INPUT_ROOM - 1)
        put(pair, byte);
}

bool input_take(struct terminal_pair *pair, u8 byte) {
    u64 used = pair->written - pair->read;
    bool edited = mode(pair, ICANON) && pair->lines == pair->read; /* too much of it is lost */
    if (used >= INPUT_ROOM - 1 && !edited)
        return false;
    if (pair->modes.input & ISTRIP)
        byte &= 0x7f;
    if (pair->quoted) {
        pair->quoted = false;
        take_character(pair, byte);
        return true;
    }
    if (take_key(pair, byte))
        return true;
    if (byte == '\r' && pair->modes.input & IGNCR)
        return true;
    if (byte == '\r' && pair->modes.input & ICRNL)
        byte = '\n';
    else if (byte == '\n' && pair->modes.input & INLCR)
        byte = '\r';
    if (!mode(pair, ICANON) || !(take_editing(pair, byte) || take_end(pair, byte)))
        take_character(pair, byte);
    return true;
}
