/*
 * Locks that other programs see, another bundle with the same volume among them: the host's, of an
 * open file each.  The host tells nobody when one is free again: who waits looks every few
 * milliseconds.
 */
#include "core/park.h"
#include "parts/fd/locks.h"
#include "parts/volumes/volumes.h"

#define FIRST_PAUSE 500000L
enum { MOST_DOUBLED = 5 }; /* 16 ms */

long volumes_lock(const struct file *file, u64 what, struct linux_flock *range) {
    struct volume_lock block = {.slot = held_of(file)->slot,
                                .what = what,
                                .kind = range->kind,
                                .start = range->start,
                                .length = range->length};
    held_of(file)->locked |= what != LOCK_TELL;
    volume_host.lock(&block);
    if (what != LOCK_TELL || block.result < 0)
        return block.result;
    range->kind = (u16)block.held[0];
    if (range->kind == F_UNLCK)
        return 0;
    range->whence = SEEK_SET;
    range->start = (s64)block.held[1], range->length = (s64)block.held[2];
    range->pid = block.held[3] ? -1 : 0; /* as of a process of another machine */
    return 0;
}

/* Before the next look; the first ones come soon. */
long volumes_pause(u64 looks) {
    s64 now = guest_time ? (s64)guest_time->monotonic() : 0;
    const struct waiting waits = {.deadline = now + (FIRST_PAUSE << MIN(looks, MOST_DOUBLED)),
                                  .on = &range_locks,
                                  .restarts = true};
    long error = park(&waits);
    return error == -ETIMEDOUT ? 0 : error;
}
