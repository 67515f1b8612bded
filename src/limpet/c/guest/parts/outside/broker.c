/*
 * What the guest does not connect by itself it asks for: who stands beside it decides, and makes
 * the connection.  What comes is a slot like any other.
 */
#include "parts/outside/links.h"

long outside_ask(struct socket *socket, const struct endpoint *to) {
    struct socket_broker block = {.what = BROKER_TCP, .port = to->port};
    memcpy(block.address, to->host, sizeof block.address);
    hypercall_socket_broker(&block);
    return link_begin(socket, block.result, block.local, to);
}
