/* A queue of messages with a name: those of one priority in the order in which they came. */
#ifndef LIMPET_MQUEUE_H
#define LIMPET_MQUEUE_H

#include "core/signals.h"
#include "parts/fd/fd.h"

enum { EMSGSIZE = 90 };

struct message {
    struct message *next;
    u64 size;
    u32 priority;
    u8 bytes[];
};

/* Who is told once that the queue is not empty any more. */
struct notified {
    const struct file *by; /* NULL: nobody */
    bool silent;
    s32 signal;
    u64 value;
};

/* Each open description, so that all of them are told. */
struct opened {
    struct opened *next;
    struct file *file;
};

struct queue {
    struct queue *next;
    u64 most, largest, count; /* messages, and the bytes of one at most */
    u64 receiving;            /* threads that wait */
    struct opened *opened;
    struct message *first;
    struct notified notified;
    bool named;
    u32 mode;
    s64 made;
    u64 length;
    char name[NAME_MAX + 1];
};

extern const struct file_ops queue_ops;
struct queue *queue_of(long fd, struct file **file); /* NULL: EBADF */
void queue_changed(struct queue *queue, u32 events); /* for who waits, and who asks */

#endif
