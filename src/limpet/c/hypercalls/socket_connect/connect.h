/* socket_connect, but for how a host system call is made: the same on both backends.  The
 * endpoint's address lies where no guest can write: the filter knows where each is. */
#include "endpoints.h"

static void connect_to_endpoint(struct socket_connect *block) {
    const struct outside_address *to = endpoint_at(block->endpoint);
    u32 size = sizeof block->local;
    long slot = SOCKET_MAKE(to->version_6);
    block->result = slot;
    if (slot < 0)
        return;
    const struct epoll_event event = {WATCHED_EVENTS, STREAM_AT(slot)};
    long begun = SOCKET_CONNECT(slot, (long)to, (long)to->size);
    if (begun < 0 && begun != -HOST_EINPROGRESS) {
        SOCKET_CONNECT_CLOSE(slot);
        block->result = begun;
        return;
    }
    SOCKET_CONNECT_WATCH(EVENTS_FD, EPOLL_CTL_ADD, slot, (long)&event);
    SOCKET_LOCAL(slot, (long)block->local, (long)&size);
}
