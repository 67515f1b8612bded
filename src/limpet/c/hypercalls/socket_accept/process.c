/* socket_accept in a process. */
#define SOCKET_ACCEPT(fd, peer, size, flags)                                                       \
    HOST_STUB(socket_accept, accept4, NR_ACCEPT4, fd, peer, size, flags, 0, 0)
#define SOCKET_ACCEPT_WATCH(fd, operation, slot, event)                                            \
    HOST_STUB(socket_accept, epoll_ctl, NR_EPOLL_CTL, fd, operation, slot, event, 0, 0)
#include "hypercalls/socket_accept/accept.h"

static void process_socket_accept(struct socket_accept *block) {
    accept_connection(block);
}
