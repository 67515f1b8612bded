/*
 * Published ports.  The host listens from the start of the bundle; what comes before the program
 * listens waits.  Whether a connection is there is told once, and then known by taking it: those
 * that were taken and not asked for yet are held.
 */
#include "parts/outside/batch.h"

#define NOT_TAKEN (-(1L << 62))

struct listener {
    struct socket *socket; /* that listens; NULL: none */
    struct socket *held;   /* the first of them */
};

static struct listener listeners[PUBLISHED_MOST];
static struct socket_accept accepts[SOCKET_ACCEPTS_MOST] LARGE;
bool published_maybe[PUBLISHED_MOST];

bool published_leads_to(const struct way *way, const struct socket *socket) {
    static const u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool version_4 = !memcmp(way->host, mapped, sizeof mapped);
    return way->port == socket->own.port && way->udp == (socket->type == SOCK_DGRAM) &&
           (version_4 || socket->family == AF_INET6);
}

/* As many descriptors as there can be connections, unless the program has its own limit. */
static void allow_descriptors(void) {
    u32 connections = outside_slots.end - outside_slots.first;
    if (!fd_cut && connections > FD_USUAL)
        fd_cut = -(s32)connections, fd_grow = fd_larger_table;
}

u64 published_listen(struct socket *socket) {
    u64 found = 0;
    allow_descriptors();
    for (u32 i = 0; i < ways_in_count; i++) {
        bool others = listeners[i].socket && listeners[i].socket != socket;
        if (others || !published_leads_to(&ways_in[i], socket))
            continue;
        listeners[i].socket = socket, published_maybe[i] = true;
        found |= 1UL << i;
    }
    return found;
}

static struct socket *held_first(struct listener *listener) {
    struct socket *first = listener->held;
    listener->held = first->next_pending;
    first->next_pending = NULL;
    return first;
}

void published_end(struct socket *socket) {
    for (u32 i = 0; i < ways_in_count; i++) {
        if (!(socket->published >> i & 1))
            continue;
        listeners[i].socket = NULL;
        while (listeners[i].held) {
            struct socket *held = held_first(&listeners[i]);
            if (link_of(held))
                link_close(held);
            socket_put(held);
        }
    }
}

void published_told(u32 listener) {
    published_maybe[listener] = true;
    if (ways_in[listener].udp)
        port_changed(&udp, ways_in[listener].port, ANYTHING);
    else if (listeners[listener].socket)
        socket_changed(listeners[listener].socket, POLLIN);
}

void published_renew(void) {
    for (u32 i = 0; i < ways_in_count; i++)
        published_told(i);
}

struct endpoint endpoint_from_host(const void *address) {
    const struct address_4 *v4 = address;
    const struct address_6 *v6 = address;
    struct endpoint to = {.port = __builtin_bswap16(v4->port)};
    if (v4->family == AF_INET) {
        to.host[10] = to.host[11] = 0xff;
        memcpy(to.host + 12, v4->host, 4);
    } else {
        memcpy(to.host, v6->host, 16);
        to.scope = v6->scope;
    }
    return to;
}

bool endpoint_is_chosen(const void *address, const struct endpoint *to) {
    struct endpoint chosen = endpoint_from_host(address);
    return same_endpoint(&chosen, to);
}

/* The guest's own side of a connection: the address that it listens at, or its loopback. */
static struct endpoint own_side(const struct socket *listener, const struct endpoint *remote) {
    static const u8 none[16], none_4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct endpoint own = listener->own;
    bool version_4 = !memcmp(remote->host, none_4, 12);
    if (memcmp(own.host, none, 16) && memcmp(own.host, none_4, 16))
        return own;
    memset(own.host, 0, sizeof own.host);
    own.host[15] = 1;
    if (version_4)
        own.host[10] = own.host[11] = 0xff, own.host[12] = 127;
    return own;
}

/* For whoever comes by IPv6, over a socket of the starter's, to a program that has IPv4 alone:
 * the dummy address of RFC 7600, 192.0.0.8. */
static const u8 dummy[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 0, 8};

/* The socket of what came from there, or that error. */
static long made_of(const struct socket_accept *taken, struct socket **made) {
    const struct socket *socket = listeners[taken->listener].socket;
    if (taken->result == -EAGAIN)
        published_maybe[taken->listener] = false;
    if (taken->result < 0)
        return taken->result == -EMFILE ? outside_full(-EMFILE) : taken->result;
    *made = link_new((u32)taken->result, socket->family, socket->protocol);
    if (!*made)
        return -ENOMEM;
    (*made)->state = CONNECTED;
    (*made)->remote = endpoint_from_host(taken->peer);
    if (socket->family == AF_INET && !host_is_v4(&(*made)->remote))
        memcpy((*made)->remote.host, dummy, sizeof dummy);
    (*made)->own = own_side(socket, &(*made)->remote);
    (*made)->options = socket->options, (*made)->linger = socket->linger;
    internet_inherit(socket, *made);
    link_keep_all(*made);
    link_of(*made)->writable = link_of(*made)->fresh = link_of(*made)->arrived = true;
    return 0;
}

static long take(u32 index, struct socket **made) {
    struct socket_accept block = {.listener = index};
    hypercall_socket_accept(&block);
    return made_of(&block, made);
}

/* Where the program listens at all ports, and has asked for all that was taken before. */
void published_ask(struct socket_batch *block) {
    bool all = block->rooms;
    for (u32 i = 0; i < ways_in_count; i++)
        all = all && (ways_in[i].udp || (listeners[i].socket && !listeners[i].held));
    for (u32 i = 0; i < COUNT(accepts); i++)
        accepts[i].result = NOT_TAKEN;
    block->accepts = all ? (u64)accepts : 0;
}

void published_took(struct socket_batch *block) {
    u64 room = (u64)MAX(block->result, 0);
    for (u32 i = 0; block->accepts && i < COUNT(accepts) && accepts[i].result != NOT_TAKEN; i++) {
        struct listener *listener = &listeners[accepts[i].listener];
        struct socket *made, **end = &listener->held;
        if (made_of(&accepts[i], &made))
            continue;
        while (*end)
            end = &(*end)->next_pending;
        *end = made;
        link_of(made)->roomy = true;
        held_take(made, link_of(made), room + i);
        socket_changed(listener->socket, POLLIN);
    }
}

long published_accept(struct socket *socket, struct socket **made) {
    for (u32 i = 0; i < ways_in_count; i++) {
        struct listener *listener = &listeners[i];
        if (!(socket->published >> i & 1))
            continue;
        if (!listener->held && !published_maybe[i])
            links_glance(); /* which may take what has come, or tell of it */
        if (listener->held) {
            *made = held_first(listener);
            return 0;
        }
        long error = published_maybe[i] ? take(i, made) : -EAGAIN;
        if (error != -EAGAIN)
            return error;
    }
    return -EAGAIN;
}

u64 published_awaited(const struct socket *socket) {
    return socket->published ? WANT_SOCKETS : 0;
}

u32 published_ready(struct socket *socket) {
    for (u32 i = 0; i < ways_in_count; i++) {
        struct listener *listener = &listeners[i];
        if (!(socket->published >> i & 1))
            continue;
        if (!listener->held && published_maybe[i] && take(i, &listener->held) == -EMFILE)
            return POLL_READABLE; /* it is there, and accept says why not */
        if (listener->held)
            return POLL_READABLE;
    }
    return 0;
}

const struct network outside = {.listen = published_listen,
                                .unpublish = published_end,
                                .accept = published_accept,
                                .ready = published_ready,
                                .awaited = published_awaited,
                                .leads = endpoint_leads,
                                .connect = endpoint_connect};
