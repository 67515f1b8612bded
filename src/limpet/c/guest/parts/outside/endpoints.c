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
    bool by_broker = outside_broker && endpoint_reach(to) == TO_OUTSIDE;
    return by_broker || find(socket, to) < ways_out_count;
}

/* What is no single endpoint of the plan's is for the broker to decide. */
static long connect_elsewhere(struct socket *socket, const struct endpoint *to) {
    if (!is_stream(socket))
        return outside_broker ? outside_broker->associate(socket, to) : -ENETUNREACH;
    return outside_broker ? outside_broker->connect(socket, to) : outside_refused(to);
}

long endpoint_connect(struct socket *socket, const struct endpoint *to) {
    struct socket_connect block = {.endpoint = find(socket, to)};
    if (block.endpoint == ways_out_count)
        return connect_elsewhere(socket, to);
    hypercall_socket_connect(&block);
    return link_begin(socket, block.result, block.local, to);
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

/* Of a datagram socket that is not connected. */
long endpoint_send(struct socket *socket, struct message *message) {
    return outside_broker ? outside_broker->send(socket, message) : -ENETUNREACH;
}
