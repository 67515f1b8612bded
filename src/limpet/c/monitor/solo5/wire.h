/* One frame to or from a network, as the filter's rules of hvt_net_write and hvt_net_read have it.
 */
#ifndef LIMPET_WIRE_H
#define LIMPET_WIRE_H

#include "solo5/frames.h"

/* The interface was deleted, or who had the other end of a socket has ended: poll tells for ever
 * that it is ready, and a guest would ask again and again. */
static inline long or_gone(long result) {
    if (result == -HOST_EBADFD || result == 0)
        die(EXIT_CANNOT_START, "limpet: a network of the guest's is gone: its interface was "
                               "deleted, or who served it on the host has ended\n");
    return result;
}

static inline long put_frame(const struct mft_entry *device, const void *from, u64 size) {
    return bytes_taken(or_gone(host3(NR_WRITE, (long)device->handle, (long)from, (long)size)));
}

static inline long get_frame(const struct mft_entry *device, void *to, u64 room) {
    return bytes_brought(or_gone(host3(NR_READ, (long)device->handle, (long)to, (long)room)));
}

enum { FRAME_HEAD = sizeof(struct frame_head), FRAME_STEP = 8 };

/* Where the next frame begins; sizes are at most those of a whole run of frames. */
static inline u32 next_frame(u32 at, u32 size) {
    return at + FRAME_HEAD + ((size + FRAME_STEP - 1) & ~(u32)(FRAME_STEP - 1));
}

/* The next of them, as a read with so much room would give it. */
static inline bool take_ahead(u64 handle, void *to, u64 *size) {
    u32 at = FRAMES->taken;
    if (networks_ahead() != 1UL << handle || at > FRAMES_ROOM - FRAME_HEAD)
        return false;
    struct frame_head head = *(const struct frame_head *)(FRAMES->ahead + at); /* copied once */
    if (head.size > FRAMES_ROOM - FRAME_HEAD - at)
        return false;
    *size = head.size < *size ? head.size : *size;
    memcpy(to, FRAMES->ahead + at + FRAME_HEAD, *size);
    FRAMES->taken = next_frame(at, head.size);
    return true;
}

/* Whether the host took a frame: errors are told by hypercalls, not of frames that were gathered.
 */
static inline void frame_failed(bool failed) {
    if (GATHERS)
        FRAMES->failed = failed;
}

#endif
