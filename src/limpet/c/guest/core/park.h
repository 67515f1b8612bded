/* Waiting: everything that can wait ends in park, and nothing else makes a thread wait. */
#ifndef LIMPET_PARK_H
#define LIMPET_PARK_H

#include "contract.h"

#define FOREVER (-1L)

/* In `want`, beside the bits of hypercall_wait: connections of the host's (parts/outside).  What
 * happens to one tells its file; nobody has to look for it. */
#define WANT_SOCKETS (1UL << 63)

/* A moment `time` nanoseconds after `now`, or the last one there is. */
static inline s64 deadline_after(u64 now, s64 time) {
    s64 deadline;
    return __builtin_add_overflow((s64)now, time, &deadline) ? (s64)(~0UL >> 1) : deadline;
}

/* What a thread cannot go on without.  Where there is neither a deadline nor something to
 * become ready, only another thread could end it. */
struct waiting {
    s64 deadline;     /* monotonic clock, nanoseconds; FOREVER for none */
    u64 want;         /* bits of hypercall_wait, any of which is enough */
    const char *what; /* ends the sentence "NAME waits for" when it is a deadlock */
    bool in_host;     /* the hypercall that follows waits in the host by itself */
    bool restarts;    /* a handler with SA_RESTART does not end the call */
    const void *on;   /* what park_changed names when it may have changed; EVERYTHING: any */
};

extern const u8 park_everything;
#define EVERYTHING ((const void *)&park_everything)

/* Who waits on it, or on EVERYTHING, looks again. */
void park_changed(const void *on);

/* Until there may be what it waits for: 0, look again.  -ETIMEDOUT: the deadline has passed.
 * -EINTR, or -ERESTARTSYS where it restarts: a signal is to be delivered.  Does not return from a
 * deadlock. */
long park(const struct waiting *waits);

/* The same where only the host can end it: brings `wait` into the plan. */
long park_for_host(const struct waiting *waits);

/* For all that are parked, while none of them runs: what is ready by now, or, in the second, what
 * comes first. */
void park_look(void);
void park_nobody(void);

#endif
