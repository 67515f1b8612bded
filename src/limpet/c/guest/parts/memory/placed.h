/* What mmap asks of the plan's shared objects: nothing in a program that has none. */
#ifndef LIMPET_PLACED_H
#define LIMPET_PLACED_H

#include "libos.h"

struct file;

struct placed_ops {
    /* A private mapping; `file` is NULL for an anonymous one.  -ENOSYS: none of these. */
    long (*map)(u64 at, u64 length, bool fixed, const struct file *file, u64 offset);
    bool (*unmap)(u64 at, u64 size); /* whether it was among these */
    bool (*is_loaded)(u64 at);       /* an object there, or none: its data is memory */
    void (*load)(u64 at);            /* its memory is brought by a start */
    bool (*wake)(u64 at, bool runs); /* it is run or written, and could not be: now it can */
    void (*go_on)(void);    /* objects that are loaded get what the bundle does not give them */
    void (*keep)(bool now); /* the guest is kept, or goes back to that */
    void (*refused)(const struct file *file); /* as code: it has no place, or no second one */
};

extern const struct placed_ops placed_ops;
extern const struct placed_ops *const guest_placed; /* generated; NULL: there are none */

#endif
