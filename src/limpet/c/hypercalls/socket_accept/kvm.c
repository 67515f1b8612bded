/* socket_accept on kvm.  The kernel gives the lowest free descriptor, and all below the slots are
 * taken. */
#define SOCKET_ACCEPT(fd, peer, size, flags) host4(NR_ACCEPT4, fd, peer, size, flags)
#define SOCKET_ACCEPT_WATCH(fd, operation, slot, event)                                            \
    host4(NR_EPOLL_CTL, fd, operation, slot, event)
#include "hypercalls/socket_accept/accept.h"

static void serve_socket_accept(struct socket_accept *block) {
    if (block->listener < LISTENERS)
        accept_connection(block);
    else
        block->result = -HOST_EBADF;
}
