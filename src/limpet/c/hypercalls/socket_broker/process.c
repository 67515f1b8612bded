/* socket_broker in a process. */
#define BROKER_SEND(fd, at, size, flags)                                                           \
    HOST_STUB(socket_broker, sendto, NR_SENDTO, fd, at, size, flags, 0, 0)
#define BROKER_RECEIVE(fd, message, flags)                                                         \
    HOST_STUB(socket_broker, recvmsg, NR_RECVMSG, fd, message, flags, 0, 0, 0)
#define BROKER_WATCH(fd, operation, slot, event)                                                   \
    HOST_STUB(socket_broker, epoll_ctl, NR_EPOLL_CTL, fd, operation, slot, event, 0, 0)
#define BROKER_LOCAL(slot, local, size)                                                            \
    HOST_STUB(socket_broker, getsockname, NR_GETSOCKNAME, slot, local, size, 0, 0, 0)
#include "hypercalls/socket_broker/broker.h"

static void process_socket_broker(struct socket_broker *block) {
    ask_broker(block);
}
