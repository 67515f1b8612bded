/* socket_wait in a process. */
#define SOCKET_WAIT_PPOLL(fds, count, timeout)                                                     \
    HOST_STUB(socket_wait, ppoll, NR_PPOLL, fds, count, timeout, 0, 0, 0)
#define SOCKET_WAIT_EPOLL(fd, events, most, timeout)                                               \
    HOST_STUB(socket_wait, epoll_pwait2, NR_EPOLL_PWAIT2, fd, events, most, timeout, 0, 0)
#include "hypercalls/socket_wait/wait.h"

static void process_socket_wait(struct socket_wait *block) {
    wait_for_sockets(block, (long)block->events);
}
