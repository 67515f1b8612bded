/* A guest that stops at a moment and goes on from there: nothing of this in any other. */
#ifndef LIMPET_SNAPSHOT_H
#define LIMPET_SNAPSHOT_H

#include "libos.h"

struct snapshot_ops {
    void (*start)(void); /* first of all: returns in a guest that has no past */
    /* The program looks for its standard input: whether it may.  One that waits may, or has a
     * signal. */
    bool (*input)(bool waits);
    u64 *behind; /* generated: how much the clock of the day is behind; NULL: there is none */
    void (*renew)(void); /* generated: what must not be as it was, part by part */
    /* generated, where folders or networks of the host's are given: why the guest cannot stop, NULL
     * where it can; whether it has had a connection. */
    const char *(*unfit)(void);
    const bool *connected;
    /* generated: the standard streams, while nothing but this knows where memory is; NULL: none */
    void (*console_in)(struct console_in *block);
    void (*console_out)(struct console_out *block);
    void (*rewind)(struct rewind *block);       /* NULL: its monitor keeps nothing */
    void (*rewound)(const struct rewind *told); /* generated: renew, by what it was told */
    const struct standard *folder; /* of /dev: where the program itself says that it is time */
};

extern const struct snapshot_ops *const guest_snapshot; /* generated; NULL: it only ever starts */

/* generated: what can only be read at the moment is so in the bundle.  A constant of the bundle's,
 * while tables with pointers are memory of the moment. */
extern const bool snapshot_sealed;
extern const bool snapshot_hidden; /* and so is, in a virtual machine, what was out of reach */
extern const bool snapshot_waits;  /* so is code of objects that were loaded then */

/* snapshot.c: what a plan's own table is made of. */
void snapshot_start(void);
bool snapshot_input(bool waits);

/* What brought the guest to its moment, as who takes the snapshot reads it. */
enum moment { NO_MOMENT, MOMENT_INPUT, MOMENT_MARKER, MOMENT_TIME };
enum moment snapshot_taken(void);
void snapshot_take(enum moment why); /* nothing, where one was taken already */

/* The thread that runs wants to do something before: it is sent that signal in the place of the
 * moment, and comes to it by itself.  False: a signal by that number there is not. */
bool snapshot_signal(u64 number);
void snapshot_come(enum moment why); /* the moment, or that signal */

/* after.c: generated where time brings it; nanoseconds, which begin with the first look at timers
 * that anybody takes. */
extern const s64 snapshot_after;
void snapshot_begin(s64 now);

/* A guest that is at its moment already tells what its memory is now, and goes on. */
void snapshot_tell(void);

/* Off the stack of the thread that runs, so that memory has all that is to be gone on from; and
 * back to it, once something is done.  Between the two there is a stack that ends at
 * snapshot_between(). */
void snapshot_leave(void (*to)(void));
void snapshot_go_on(void (*arrange)(void)); /* NULL: nothing */
u64 snapshot_between(void);

long snapshot_rewind(u64 word);              /* rewind.c */
void snapshot_go_back(struct rewind *block); /* back.c: in a process */
bool snapshot_keep(u64 stack, void (*back)(void));
_Noreturn void snapshot_forget(u64 word);

/* live.c: memory through the standard streams, [left.low, left.high) left out. */
void memory_tell(struct span left);
bool memory_take(void); /* in place of the bundle's: whether the start brings some */
long memory_told(void); /* 0, or why it could not be told */

/* The monitor puts the words of a start above this, if not beside boot_info, and nothing else lies
 * there. */
static inline u64 strings_low(void) {
    return guest_info.stack_hi - (guest_info.stack_hi - guest_info.stack_lo) / 4;
}

extern const struct standard snapshot_folder; /* device.c */

/* The guest's clock stands still between its moment and a start: the host's is so many nanoseconds
 * ahead, which its gate for `wait`, `ask`, is told and told off. */
extern u64 snapshot_host_ahead;
extern u64 snapshot_behind; /* nanoseconds, until the moment */
void snapshot_wait(struct wait *block, void (*ask)(struct wait *block));

/* What each part renews: a clock goes on from where it was, nothing is random twice. */
void clock_renew(void);
void entropy_renew(void);
void tick_renew(void);

/* The same on a machine that has gone back, whose monitor has told what is new. */
void clock_rewound(const struct rewind *told);
void entropy_rewound(const struct rewind *told);

#endif
