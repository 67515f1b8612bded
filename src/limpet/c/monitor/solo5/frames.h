/*
 * Frames that the shim of an hvt guest gathers to be sent, and frames that were brought before the
 * guest asked: in memory that the guest can write, so every number there is copied once and
 * checked. A monitor has no writable memory of its own, and keeps its own notes there too: a guest
 * that changes them loses its own frames.
 */
#ifndef LIMPET_FRAMES_H
#define LIMPET_FRAMES_H

#include "features/devices/devices.h"

#define FRAMES ((struct frames *)FRAMES_AT)

/* The networks of which frames have been brought that the guest has not taken, as poll tells them.
 */
static inline u64 networks_ahead(void) {
    if (!GATHERS || FRAMES->taken >= FRAMES->brought)
        return 0;
    u64 handle = FRAMES->handle;
    return net_device(handle) ? 1UL << handle : 0;
}

/* A network is in use: before the guest goes on, more is done for it. */
static inline void frames_moved(u64 handle) {
    if (GATHERS)
        FRAMES->moved = (u32)handle;
}

#endif
