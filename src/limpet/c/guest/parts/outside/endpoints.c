/* Connections to endpoints outside: those of the plan's, and no others. */
#include "parts/outside/links.h"

static bool is_way_to(const struct way *way, const struct endpoint *to) {
    if (way->chosen)
        return endpoint_is_chosen(way->chosen, to);
    return way->port == to->port && !memcmp(way->host, to->host, sizeof to->host);
}

/* The plan's place of an endpoint, or the end of its table. */
static u32 find(const struct endpoint *to) {
    u32 at = 0;
    while (at < ways_out_count && !is_way_to(&ways_out[at], to))
        at++;
    return at;
}

bool endpoint_leads(const struct socket *socket, const struct endpoint *to) {
    (void)socket;
    bool by_broker = outside_broker && endpoint_reach(to) == TO_OUTSIDE;
    return by_broker || find(to) < ways_out_count;
}

long endpoint_connect(struct socket *socket, const struct endpoint *to) {
    struct socket_connect block = {.endpoint = find(to)};
    bool known = block.endpoint < ways_out_count;
    if (!(known && outside_direct)) {
        bool may = outside_asked && (known || outside_broker);
        return may ? outside_asked(socket, to) : outside_refused(socket, to);
    }
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
