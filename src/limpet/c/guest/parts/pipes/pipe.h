/* Bytes on their way from writers to readers: a ring of slots, a page each, as Linux has it. */
#ifndef LIMPET_PIPE_H
#define LIMPET_PIPE_H

#include "parts/fd/fd.h"

struct slot {
    u8 *page; /* kept for the next bytes; NULL until it was first used */
    u32 offset, length;
    bool packet; /* a read takes all of it, or loses the rest */
    bool lent;   /* of a file, or of another pipe too, in Linux: nothing is put behind it */
};

struct pipe {
    struct slot *slots;
    u64 size;                       /* slots, a power of two */
    u64 head, used;                 /* the slot that is read next, and how many hold bytes */
    struct end *readers, *writers;  /* NULL: there are none (any more) */
    u32 readers_came, writers_came; /* ever */
    struct pipe **kept; /* of a named one: where its name leads to it while it is open */
};

/* An end: it reads from the pipe, writes to it, or both. */
struct end {
    struct pipe *in, *out;
    struct file *file;
    struct end *next_reader, *next_writer; /* of the same pipe */
    u32 before; /* writers that came before it and do not count: their end is not told */
    struct linux_timespec made;
};

/* ends.c: what a named pipe does, too. */
long end_read(struct file *file, void *to, u64 size);
long end_write(struct file *file, const void *from, u64 size);
long end_ioctl(struct file *file, u64 request, u64 argument);
long end_control(struct file *file, u32 command, long argument);
u32 end_poll(struct file *file);
void end_release(struct file *file);

struct pipe *pipe_new(void);
void pipe_free(struct pipe *pipe); /* NULL is fine */
u64 pipe_bytes(const struct pipe *pipe);
long pipe_resize(struct pipe *pipe, u64 slots);

static inline bool is_pipe(const struct file *file) {
    return file->ops->control == end_control;
}

static inline bool pipe_full(const struct pipe *pipe) {
    return pipe->used == pipe->size;
}

/* An open end of them, either NULL; its flags are those of open.  NULL: no memory. */
struct file *pipe_file(struct pipe *in, struct pipe *out, long flags);

/* As much as there is, at most `size`, or one packet; as much as there is room for, of `whole`. */
u64 pipe_take(struct pipe *pipe, u8 *to, u64 size);
long pipe_put(struct pipe *pipe, const u8 *from, u64 size, bool packets);

/* For splice.c: the slot at a place behind the head; one more that holds a copy of a piece of a
 * page, which nothing is put behind (its size, 0 where the pipe is full); the first to the end of
 * another, which has room. */
struct slot *slot_at(const struct pipe *pipe, u64 place);
long pipe_lend(struct pipe *pipe, const u8 *from, u32 size, u32 offset, bool packet);
void pipe_move(struct pipe *from, struct pipe *to);

/* Waiting for input, which there may be none any more; for room, or why there is none to wait for:
 * of that a signal tells as well.  `never`: as with O_NONBLOCK.  Then what has come, or gone, is
 * told. */
long pipe_await_input(struct file *file, bool never);
long pipe_await_room(struct file *file, bool never);
void pipe_tell(struct pipe *read, struct pipe *written);

#endif
