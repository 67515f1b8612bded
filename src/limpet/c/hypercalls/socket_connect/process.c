/* socket_connect in a process. */
#define SOCKET_MAKE(version_6)                                                                     \
    HOST_STUB(socket_connect, socket, NR_SOCKET, (version_6) ? AF_INET6 : AF_INET,                 \
              SOCK_STREAM | SOCKET_FLAGS, 0, 0, 0, 0)
#define SOCKET_CONNECT(slot, to, size)                                                             \
    HOST_STUB(socket_connect, connect, NR_CONNECT, slot, to, size, 0, 0, 0)
#define SOCKET_CONNECT_WATCH(fd, operation, slot, event)                                           \
    HOST_STUB(socket_connect, epoll_ctl, NR_EPOLL_CTL, fd, operation, slot, event, 0, 0)
#define SOCKET_CONNECT_CLOSE(slot) HOST_STUB(socket_connect, close, NR_CLOSE, slot, 0, 0, 0, 0, 0)
#define SOCKET_LOCAL(slot, local, size)                                                            \
    HOST_STUB(socket_connect, getsockname, NR_GETSOCKNAME, slot, local, size, 0, 0, 0)
#include "hypercalls/socket_connect/connect.h"

static void process_socket_connect(struct socket_connect *block) {
    connect_to_endpoint(block);
}
