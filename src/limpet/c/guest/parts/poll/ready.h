/* What the ways to wait for descriptors have in common. */
#ifndef LIMPET_READY_H
#define LIMPET_READY_H

#include "core/park.h"
#include "parts/fd/fd.h"

struct pollfd {
    s32 fd;
    u16 events, ready;
};

struct epoll_event {
    u32 events;
    u64 data;
} __attribute__((packed));

/* One kind of list of descriptors: `look` counts those that are ready, and adds to `want` what
 * it would wait for. */
struct watch {
    long (*look)(struct watch *watch, u64 *want);
    void *list;
    u64 count;
    struct epoll_event *events;
    const void *on; /* what has to change; NULL: anything */
    bool unhurried; /* without time to wait, signals do not count either: epoll */
    bool asked;     /* the host was, meanwhile */
};

/* What can become ready while the program sleeps: standard input and networks, which can only be
 * read, and connections. */
static inline u64 awaited(const struct file *file, u32 events) {
    u64 bits = file->ops->awaited ? file->ops->awaited(file) : 0;
    return events & POLL_READABLE ? bits : bits & WANT_SOCKETS;
}

/* Who asks without waiting, again and again, has to hear of what happens outside all the same:
 * where nothing is ready now, and, more seldom, where something is. */
enum { STALE_NONE = 20000, STALE_SOME = 1000000 }; /* nanoseconds */
static inline bool glance(u64 age) {
    return guest_time && guest_time->glance && guest_time->glance(age);
}

/* Look until something is ready, the time is over, or a signal comes: -EINTR.
 * `timeout`: nanoseconds, 0 to look once, FOREVER. */
long watch_for(struct watch *watch, s64 timeout);
long poll_all(struct pollfd *fds, u64 count, s64 timeout);

s64 timeout_in(long milliseconds);
long timeout_of(const struct linux_timespec *time, s64 *timeout); /* NULL: FOREVER */

/* The signal mask of a wait, which ends with watch_result; NULL: none. */
long watch_mask(const u64 *mask, long size);

/* What is left of a timeout is told, as far as the program lets us write there. */
struct rest {
    s64 end; /* monotonic; 0: nothing to tell */
    bool microseconds;
    u64 to;
};
struct rest rest_of(s64 timeout, u64 to, bool microseconds);
long watch_result(long result, const struct rest *rest);

#endif
