/* socket_connect on kvm. */
#define SOCKET_MAKE(version_6) ((version_6) ? socket_of_6() : socket_of_4())
#define SOCKET_CONNECT(slot, to, size) host3(NR_CONNECT, slot, to, size)
#define SOCKET_CONNECT_WATCH(fd, operation, slot, event)                                           \
    host4(NR_EPOLL_CTL, fd, operation, slot, event)
#define SOCKET_CONNECT_CLOSE(slot) host3(NR_CLOSE, slot, 0, 0)
#define SOCKET_LOCAL(slot, local, size) host3(NR_GETSOCKNAME, slot, local, size)
#include "hypercalls/socket_connect/connect.h"

static void serve_socket_connect(struct socket_connect *block) {
    if (block->endpoint < ENDPOINT_COUNT)
        connect_to_endpoint(block);
    else
        block->result = -HOST_EACCES;
}
