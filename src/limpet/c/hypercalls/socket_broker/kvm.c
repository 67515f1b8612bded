/* socket_broker on kvm. */
#define BROKER_SEND(fd, at, size, flags) host6(NR_SENDTO, fd, at, size, flags, 0, 0)
#define BROKER_RECEIVE(fd, message, flags) host3(NR_RECVMSG, fd, message, flags)
#define BROKER_WATCH(fd, operation, slot, event) host4(NR_EPOLL_CTL, fd, operation, slot, event)
#define BROKER_LOCAL(slot, local, size) host3(NR_GETSOCKNAME, slot, local, size)
#include "hypercalls/socket_broker/broker.h"

static void serve_socket_broker(struct socket_broker *block) {
    ask_broker(block);
}
