/* Bytes on their way from writers to readers: a ring of slots, a page each, as Linux has it. */
#ifndef LIMPET_PIPE_H
#define LIMPET_PIPE_H

#include "parts/fd/fd.h"

struct slot {
    u8 *page; /* kept for the next bytes; NULL until it was first used */
    u32 offset, length;
    bool packet; /* a read takes all of it, or loses the rest */
};

struct pipe {
    struct slot *slots;
    u64 size;                      /* slots, a power of two */
    u64 head, used;                /* the slot that is read next, and how many hold bytes */
    struct end *readers, *writers; /* NULL: there are none (any more) */
};

/* An end: it reads from one pipe, writes to another, or both (a socket pair). */
struct end {
    struct pipe *in, *out;
    struct file *file;
    struct end *next_reader, *next_writer; /* of the same pipe */
    u32 mode;
    struct linux_timespec made;
};

struct pipe *pipe_new(void);
void pipe_free(struct pipe *pipe); /* NULL is fine */
u64 pipe_bytes(const struct pipe *pipe);
long pipe_resize(struct pipe *pipe, u64 slots);

static inline bool pipe_full(const struct pipe *pipe) {
    return pipe->used == pipe->size;
}

/* As much as there is, at most `size`, or one packet; as much as there is room for, of `whole`. */
u64 pipe_take(struct pipe *pipe, u8 *to, u64 size);
long pipe_put(struct pipe *pipe, const u8 *from, u64 size, bool packets);

#endif
