/* Pseudo-terminals: two ends, and between them what a terminal makes of lines and control keys, as
 * drivers/tty/n_tty.c has it.  A program that does not name /dev/ptmx has nothing of this. */
#ifndef LIMPET_TERMINALS_H
#define LIMPET_TERMINALS_H

#include "core/park.h"
#include "core/signals.h"
#include "parts/fd/fd.h"
#include "parts/terminals/reach.h"

enum { CONTROLS = 19, INPUT_ROOM = 4096, OUTPUT_ROOM = 8192 };

/* uapi asm-generic/termbits.h: struct termios */
struct modes {
    u32 input, output, control, local;
    u8 discipline, keys[CONTROLS];
};
_Static_assert(sizeof(struct modes) == 36, "struct termios");

enum { ISTRIP = 040, INLCR = 0100, IGNCR = 0200, ICRNL = 0400, IXON = 02000, IUTF8 = 040000 };
enum { OPOST = 1, ONLCR = 4, OCRNL = 010, ONOCR = 020, ONLRET = 040, XTABS = 014000 };
enum {
    ISIG = 1,
    ICANON = 2,
    ECHO = 010,
    ECHOE = 020,
    ECHOK = 040,
    ECHONL = 0100,
    NOFLSH = 0200,
    ECHOCTL = 01000,
    ECHOKE = 04000,
    IEXTEN = 0100000
};
enum key {
    VINTR,
    VQUIT,
    VERASE,
    VKILL,
    VEOF,
    VTIME,
    VMIN,
    VSTART = 8,
    VSTOP,
    VSUSP,
    VEOL,
    VREPRINT,
    VWERASE = 14,
    VLNEXT,
    VEOL2
};

/* A character of input, and whether a line ends with it, or without it. */
enum { LINE_END = 0x100, FILE_END = 0x200 };

/* One that is open: each open description. */
struct side {
    struct side *next;
    struct terminal_pair *pair;
    struct file *file; /* `named` is its node */
    bool master;
};

struct terminal_pair {
    struct terminal_pair *next;
    struct side *sides;
    struct modes modes;
    u16 size[4]; /* rows, columns, and what nobody uses */
    u32 number;
    bool locked, closed, hung_up; /* the slave's last one, the master */
    bool stopped, quoted;         /* by VSTOP; after VLNEXT */
    u64 column, line_column;      /* of what is written; where the line that is edited began */
    u64 read, lines, written;     /* of `input`, counted up: what is before `lines` can be read */
    u64 out_read, out_written;
    u16 input[INPUT_ROOM];
    u8 output[OUTPUT_ROOM];
};

static inline bool mode(const struct terminal_pair *pair, u32 local) {
    return pair->modes.local & local;
}

/* output.c */
u64 output_room(const struct terminal_pair *pair);
void output_processed(struct terminal_pair *pair, u8 byte);
void output_plain(struct terminal_pair *pair, u8 byte);
void echo(struct terminal_pair *pair, u8 byte);
void echo_erased(struct terminal_pair *pair, u8 byte, u64 before); /* and its column */

/* input.c */
bool input_take(struct terminal_pair *pair, u8 byte); /* false: there is no room yet */
u64 input_ready(const struct terminal_pair *pair);    /* characters that a read would get */

/* edit.c */
void line_erase(struct terminal_pair *pair, enum key key);
void line_show_again(struct terminal_pair *pair);

/* modes.c */
void modes_first(struct terminal_pair *pair);
long terminal_ioctl(struct file *file, u64 request, u64 argument);
bool is_controlling(const struct terminal_pair *pair);
void terminal_gone(const struct terminal_pair *pair);

/* pair.c */
extern const struct file_ops terminal_master_ops, terminal_slave_ops;
void terminal_changed(struct terminal_pair *pair);

/* open.c */
void terminal_release(struct file *file);
long slave_open_peer(struct terminal_pair *pair, long flags);

#endif
