/* socket_accept, but for how a host system call is made: the same on both backends. */
#include "outside.h"

static void accept_connection(struct socket_accept *block) {
    u32 size = sizeof block->peer;
    long slot = SOCKET_ACCEPT((long)(LISTENERS_FD + block->listener), (long)block->peer,
                              (long)&size, SOCKET_FLAGS);
    if (slot >= 0) {
        const struct epoll_event event = {WATCHED_EVENTS, STREAM_AT(slot)};
        SOCKET_ACCEPT_WATCH(EVENTS_FD, EPOLL_CTL_ADD, slot, (long)&event);
    }
    block->result = slot;
}
