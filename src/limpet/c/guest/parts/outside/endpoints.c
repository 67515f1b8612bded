/* Connections to endpoints outside: those of the plan's, and no others. */
#include "parts/outside/links.h"

/* The plan's place of an endpoint, or the end of its table. */
static u32 find(const struct socket *socket, const struct endpoint *to) {
    bool udp = !is_stream(socket);
    u32 at = 0;
    while (at < ways_out_count && (memcmp(ways_out[at].host, to->host, sizeof to->host) ||
                                   ways_out[at].port != to->port || ways_out[at].udp != udp))
        at++;
    return at;
}

bool endpoint_leads(const struct socket *socket, const struct endpoint *to) {
    return find(socket, to) < ways_out_count;
}

long endpoint_connect(struct socket *socket, const struct endpoint *to) {
    struct socket_connect block = {.endpoint = find(socket, to)};
    if (block.endpoint == ways_out_count)
        return is_stream(socket) ? outside_refused(to) : -ENETUNREACH;
    hypercall_socket_connect(&block);
    if (block.result < 0)
        return block.result == -EMFILE ? -EADDRNOTAVAIL : block.result;
    port_leave(socket);
    if (!link_give(socket, (u32)block.result))
        return -ENOMEM;
    link_keep_all(socket);
    socket->own = endpoint_from_host(block.local), socket->remote = *to;
    socket->state = CONNECTING;
    return -EINPROGRESS;
}

/* As it was before it was connected. */
static void disconnect(struct socket *socket) {
    link_close(socket);
    socket->transport = &tcp;
    socket->state = UNCONNECTED;
    socket->shut = 0;
    socket->own.port = 0;
    any_host(socket, &socket->own);
}

/* Called again: whether it has come, and how that ended; where it has failed, another attempt. */
long endpoint_again(struct socket *socket, const struct address *address) {
    struct link *link = link_of(socket);
    if (address->length >= sizeof address->family && address->family == AF_UNSPEC) {
        disconnect(socket);
        return 0;
    }
    if (socket->state == CONNECTING)
        return -EALREADY;
    if (socket->state == CONNECTED) {
        bool told = link->arrived;
        link->arrived = true;
        return told ? -EISCONN : 0;
    }
    long error = socket_error(socket);
    disconnect(socket);
    return error ? error : tcp.connect(socket, address);
}
