/* A pseudo-terminal's modes, size and keys, and which one is the program's own. */
#include "parts/terminals/terminals.h"

enum {
    TCGETS = 0x5401,
    TCSETS = 0x5402,
    TCSETSW = 0x5403,
    TCSETSF = 0x5404,
    TCSBRK = 0x5409,
    TCXONC = 0x540a,
    TCFLSH = 0x540b,
    TIOCEXCL = 0x540c,
    TIOCNXCL = 0x540d,
    TIOCSCTTY = 0x540e,
    TIOCGPGRP = 0x540f,
    TIOCSPGRP = 0x5410,
    TIOCOUTQ = 0x5411,
    TIOCSTI = 0x5412,
    TIOCGWINSZ = 0x5413,
    TIOCSWINSZ = 0x5414,
    TIOCINQ = 0x541b,
    TIOCNOTTY = 0x5422,
    TCSBRKP = 0x5425,
    TIOCGSID = 0x5429
};
#define TIOCGPTN 0x80045430UL
#define TIOCSPTLCK 0x40045431UL
#define TIOCGPTLCK 0x80045439UL
#define TIOCGPTPEER 0x5441UL

enum { SIGNAL_HUP = 1, SIGNAL_CONT = 18, SIGNAL_WINCH = 28 };
enum { CSIZE = 060, CS8 = 060, CREAD = 0200, PARENB = 0400 };
enum { FLUSH_INPUT, FLUSH_OUTPUT, FLUSH_BOTH };

static const struct terminal_pair *controlling;

bool is_controlling(const struct terminal_pair *pair) {
    return controlling == pair;
}

void terminal_gone(const struct terminal_pair *pair) {
    if (controlling != pair)
        return;
    controlling = NULL;
    signal_raise(SIGNAL_HUP);
    signal_raise(SIGNAL_CONT);
}

/* Linux's tty_std_termios, and INIT_C_CC. */
void modes_first(struct terminal_pair *pair) {
    pair->modes = (struct modes){
        .input = ICRNL | IXON,
        .output = OPOST | ONLCR,
        .control = 0xbf,
        .local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        .keys = {3, 034, 0177, 025, 4, 0, 1, 0, 021, 023, 032, 0, 022, 017, 027, 026}};
}

/* What is there becomes one line, or characters: Linux's n_tty_set_termios. */
static void edit_or_not(struct terminal_pair *pair) {
    bool any = mode(pair, ICANON) && pair->written != pair->read;
    for (u64 place = pair->read; place < pair->written; place++)
        pair->input[place % INPUT_ROOM] &= 0xff;
    pair->lines = any ? pair->written : pair->read;
    if (any)
        pair->input[(pair->written - 1) % INPUT_ROOM] |= LINE_END;
}

static long set_modes(struct terminal_pair *pair, const struct modes *to, bool flush) {
    struct modes modes = *to;
    bool other = (modes.local ^ pair->modes.local) & ICANON;
    modes.control = (modes.control & ~(u32)(CSIZE | PARENB)) | CS8 | CREAD;
    pair->modes = modes;
    if (flush)
        pair->read = pair->lines = pair->written;
    if (other)
        edit_or_not(pair);
    if (!(modes.input & IXON))
        pair->stopped = false;
    terminal_changed(pair);
    return 0;
}

static long set_size(struct terminal_pair *pair, const u16 *size) {
    u16 wanted[4];
    memcpy(wanted, size, sizeof wanted);
    bool other = memcmp(wanted, pair->size, sizeof wanted) != 0;
    memcpy(pair->size, wanted, sizeof wanted);
    if (other && is_controlling(pair))
        signal_raise(SIGNAL_WINCH);
    return 0;
}

/* Of the slave what was typed and what it wrote; the master's is the other way round. */
static long flush(struct terminal_pair *pair, bool master, long which) {
    if (which < FLUSH_INPUT || which > FLUSH_BOTH)
        return -EINVAL;
    if (which == FLUSH_BOTH || (which == FLUSH_INPUT) != master)
        pair->read = pair->lines = pair->written;
    if (which == FLUSH_BOTH || (which == FLUSH_OUTPUT) != master)
        pair->out_read = pair->out_written;
    terminal_changed(pair);
    return 0;
}

static long control(struct terminal_pair *pair, u64 request) {
    if (request == TIOCNOTTY) {
        if (controlling != pair)
            return -ENOTTY;
        controlling = NULL;
        return 0;
    }
    if (controlling && controlling != pair)
        return -EPERM;
    controlling = pair;
    return 0;
}

static long group(const struct terminal_pair *pair, bool master, u64 request, u64 argument) {
    bool own = controlling == pair;
    if (!own && (!master || request != TIOCGPGRP))
        return -ENOTTY;
    if (request == TIOCSPGRP)
        return *(s32 *)argument == 1 ? 0 : *(s32 *)argument < 0 ? -EINVAL : -EPERM;
    *(s32 *)argument = own;
    return 0;
}

static long of_master(struct terminal_pair *pair, u64 request, u64 argument) {
    switch (request) {
    case TIOCGPTN:
        *(u32 *)argument = pair->number;
        return 0;
    case TIOCSPTLCK:
        pair->locked = *(s32 *)argument;
        return 0;
    case TIOCGPTLCK:
        *(s32 *)argument = pair->locked;
        return 0;
    case TIOCGPTPEER:
        return slave_open_peer(pair, (long)argument);
    default:
        return -ENOTTY;
    }
}

static long of_line(struct terminal_pair *pair, u64 request, u64 argument) {
    switch (request) {
    case TCGETS:
        memcpy((void *)argument, &pair->modes, sizeof pair->modes);
        return 0;
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_modes(pair, (const struct modes *)argument, request == TCSETSF);
    case TIOCGWINSZ:
        memcpy((void *)argument, pair->size, sizeof pair->size);
        return 0;
    case TIOCSWINSZ:
        return set_size(pair, (const u16 *)argument);
    case TIOCOUTQ:
        *(s32 *)argument = 0;
        return 0;
    case TCSBRK:
    case TCSBRKP:
    case TCXONC:
    case TIOCEXCL:
    case TIOCNXCL:
        return 0;
    default:
        return -ENOTTY;
    }
}

long terminal_ioctl(struct file *file, u64 request, u64 argument) {
    const struct side *side = file->object;
    struct terminal_pair *pair = side->pair;
    if (pair->hung_up)
        return request == TIOCSPGRP ? -ENOTTY : -EIO;
    switch (request) {
    case TIOCSCTTY:
    case TIOCNOTTY:
        return control(pair, request);
    case TIOCGPGRP:
    case TIOCSPGRP:
    case TIOCGSID:
        return group(pair, side->master, request, argument);
    case TCFLSH:
        return flush(pair, side->master, (long)argument);
    case TIOCSTI: /* what it puts there, others would read */
        return -EPERM;
    case TIOCINQ:
        *(s32 *)argument =
            (s32)(side->master ? pair->out_written - pair->out_read : input_ready(pair));
        return 0;
    default:
        break;
    }
    long done = of_line(pair, request, argument);
    return done == -ENOTTY && side->master ? of_master(pair, request, argument) : done;
}
