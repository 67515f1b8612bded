/*
 * Connections to names and networks: the broker decides, and makes them.  What it gives is a slot
 * like any other.
 */
#include "parts/outside/links.h"
#include "parts/world/world.h"

extern const struct standard etc_of_broker[];

static long connect(struct socket *socket, const struct endpoint *to) {
    struct socket_broker block = {.what = BROKER_TCP, .port = to->port};
    memcpy(block.address, to->host, sizeof block.address);
    hypercall_socket_broker(&block);
    return link_begin(socket, block.result, block.local, to);
}

const struct outside_broker outside_by_broker = {connect, names_connect, names_send, etc_of_broker};
