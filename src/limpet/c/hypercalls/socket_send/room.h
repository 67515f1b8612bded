/* Room to send, of connections that were taken from a port: told once somebody has found none. */
#ifndef LIMPET_SOCKET_SEND_ROOM_H
#define LIMPET_SOCKET_SEND_ROOM_H

#include "outside.h"

static void tell_of_room(u32 slot, u32 flags, s64 result, u64 length) {
    const struct epoll_event event = {WATCHED_EVENTS, STREAM_AT(slot)};
    bool all = result >= 0 && (u64)result == length;
    if (LISTENERS && flags & SOCKET_THEN_TELL && !all)
        host4(NR_EPOLL_CTL, EVENTS_FD, EPOLL_CTL_MOD, slot, (long)&event);
}

/* What the host is asked for, of what the guest asks for; 0: something else. */
static u32 send_flags(u32 flags) {
    flags &= ~(SOCKET_THEN_TELL | SOCKET_THEN_CLOSE);
    return (flags | SOCKET_SEND_MORE) == SOCKET_SEND_MORE && flags & SOCKET_SEND ? flags : 0;
}

#endif
