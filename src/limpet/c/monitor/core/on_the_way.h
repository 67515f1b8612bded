/* How many sockets can be on their way to a guest: the host counts those of all guests of a user
 * together, and a guest that does not take its answers has them all. */
#ifndef LIMPET_ON_THE_WAY_H
#define LIMPET_ON_THE_WAY_H

#include "core/monitor.h"

static long few_on_their_way(long end) {
    enum { SOL_SOCKET = 1, SO_SNDBUF = 7 };
    static const u32 least = 1; /* bytes, of which the kernel makes a few pages */
    return host6(NR_SETSOCKOPT, end, SOL_SOCKET, SO_SNDBUF, (long)&least, sizeof least, 0);
}

#endif
