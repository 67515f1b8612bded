/* socket_wait on kvm: the kernel writes the events into guest memory. */
#define SOCKET_WAIT_PPOLL(fds, count, timeout) host6(NR_PPOLL, fds, count, timeout, 0, 0, 0)
#define SOCKET_WAIT_EPOLL(fd, events, most, timeout)                                               \
    host6(NR_EPOLL_PWAIT2, fd, events, most, timeout, 0, 0)
#include "hypercalls/socket_wait/wait.h"

static void serve_socket_wait(struct socket_wait *block) {
    void *events =
        guest_range(block->events, SOCKET_EVENTS_MOST * EPOLL_EVENT_SIZE, GUEST_LO, GUEST_HI);
    if (events)
        wait_for_sockets(block, (long)events);
    else
        block->result = -HOST_EFAULT;
}
