/* Who has which port: sockets with the same one are in one list. */
#include "parts/sockets/internet.h"

#define LISTS 64
#define FIRST_PORT 32768 /* net.ipv4.ip_local_port_range */
#define PORTS (61000 - FIRST_PORT)

static LARGE struct socket *lists[3][LISTS];

static struct socket **list_of(const struct transport *transport, u16 port) {
    return &lists[is_datagrams(transport) + (transport == &udp_lite)][port % LISTS];
}

/* An address of any host takes version 4 too, unless it says otherwise. */
static bool takes_host(const struct socket *socket, const struct endpoint *to) {
    if (same_host(&socket->own, to))
        return true;
    if (!host_is_any(&socket->own))
        return false;
    if (host_is_v4(&socket->own))
        return host_is_v4(to);
    return !host_is_v4(to) || !only_version_6(socket);
}

static bool overlap(const struct socket *a, const struct socket *b) {
    return takes_host(a, &b->own) || takes_host(b, &a->own);
}

static bool both(const struct socket *a, const struct socket *b, u32 name) {
    return option(a, name) && option(b, name);
}

static bool conflicts(const struct socket *socket, const struct socket *other) {
    if (other == socket || other->own.port != socket->own.port || !overlap(socket, other))
        return false;
    if (both(socket, other, SO_REUSEPORT))
        return false;
    return !both(socket, other, SO_REUSEADDR) || other->state == LISTENING;
}

static bool is_taken(const struct socket *socket) {
    struct socket *each = *list_of(socket->transport, socket->own.port);
    while (each && !conflicts(socket, each))
        each = each->next;
    return each;
}

bool port_listened(const struct socket *socket) {
    struct socket *each = *list_of(socket->transport, socket->own.port);
    while (each && !(each->state == LISTENING && conflicts(socket, each)))
        each = each->next;
    return each;
}

void port_share(struct socket *socket) {
    socket_list(socket, list_of(socket->transport, socket->own.port));
}

void port_leave(struct socket *socket) {
    socket_unlist(socket);
    socket->own.port = 0;
}

static bool is_used(const struct socket *socket) {
    const struct socket *each = *list_of(socket->transport, socket->own.port);
    while (each && each->own.port != socket->own.port)
        each = each->next;
    return each;
}

/* One that nobody has. */
long port_take_any(struct socket *socket) {
    static u32 next;
    if (socket->own.port)
        return 0;
    for (u32 tries = 0; tries < PORTS; tries++) {
        socket->own.port = (u16)(FIRST_PORT + next++ % PORTS);
        if (!is_used(socket)) {
            port_share(socket);
            return 0;
        }
    }
    socket->own.port = 0;
    return -EADDRINUSE;
}

long internet_bind(struct socket *socket, const struct address *address) {
    struct address given = *address;
    struct endpoint wanted, before = socket->own;
    bool plain = socket->family == AF_INET && given.family == AF_UNSPEC && given.length >= 16 &&
                 !*(const u32 *)given.v4.host;
    if (plain) /* as old programs have it */
        given.family = AF_INET;
    long error = endpoint_of(socket, &given, &wanted);
    if (error)
        return error;
    if (socket->family == AF_INET6 && host_is_v4(&wanted) && only_version_6(socket))
        return -EINVAL;
    if (endpoint_reach(&wanted) != TO_ITSELF)
        return -EADDRNOTAVAIL;
    if (socket->state != UNCONNECTED || socket->own.port)
        return -EINVAL;
    socket->own = wanted;
    if (!wanted.port)
        error = port_take_any(socket);
    else if (is_taken(socket))
        error = -EADDRINUSE;
    else
        port_share(socket);
    if (error)
        socket->own = before;
    else
        socket->bound = !host_is_any(&wanted), socket->has_port = wanted.port;
    return error;
}

void port_changed(const struct transport *transport, u16 port, u32 events) {
    for (struct socket *each = *list_of(transport, port); each; each = each->next)
        if (each->own.port == port)
            socket_changed(each, events);
}

/* How well it fits; 0: not at all. */
static u32 score(const struct socket *socket, const struct endpoint *from,
                 const struct endpoint *to) {
    bool listens = socket->transport == &tcp;
    if (socket->own.port != to->port || !takes_host(socket, to))
        return 0;
    if (listens)
        return socket->state == LISTENING ? 1U + same_host(&socket->own, to) : 0U;
    if (socket->state == CONNECTED && !same_endpoint(&socket->remote, from))
        return 0;
    return 1U + same_host(&socket->own, to) + 2U * (socket->state == CONNECTED);
}

/* Of those that share a port by SO_REUSEPORT, one by where it comes from. */
struct socket *port_find(const struct transport *transport, const struct endpoint *from,
                         const struct endpoint *to) {
    struct socket *best = NULL;
    u32 most = 0, alike = 0;
    for (struct socket *each = *list_of(transport, to->port); each; each = each->next) {
        u32 fits = score(each, from, to);
        bool same = fits && fits == most && both(each, best, SO_REUSEPORT);
        if (fits > most)
            best = each, most = fits, alike = 1;
        else if (same && from->port % ++alike == 0)
            best = each;
    }
    return best;
}
