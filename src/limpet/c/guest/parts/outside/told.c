/* What a guest was refused, told to whoever stands beside it, for the operator's log. */
#include "parts/outside/links.h"

static void tell_connection(const struct socket *socket, const struct endpoint *to) {
    struct socket_broker block = {.what = is_stream(socket) ? BROKER_TCP : BROKER_UDP,
                                  .port = to->port};
    memcpy(block.address, to->host, sizeof block.address);
    hypercall_socket_broker(&block);
    if (block.result >= 0) { /* it was given after all, and nobody waits for it */
        struct socket_close unused = {.slot = (u32)block.result, .how = SOCKET_CLOSE};
        hypercall_socket_close(&unused);
    }
}

static void tell_family(long family, long type) {
    struct socket_broker block = {.what = BROKER_FAMILY, .port = (u32)family};
    *(u8 *)block.address = (u8)type;
    hypercall_socket_broker(&block);
}

const struct outside_log outside_told = {tell_connection, tell_family};
