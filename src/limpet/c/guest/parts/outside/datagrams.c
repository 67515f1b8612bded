/*
 * Datagrams to places outside.
 *
 * A socket of UDP has a link to each place that it sends to: a socket of the host's that is
 * connected there, made by who stands beside the guest, since a filter cannot look at the address
 * of a datagram.  What comes over it goes into the socket's own queue, as what comes from inside.
 *
 * What goes to port 53 of any address outside is a question to the broker, where there is one and
 * that address is not allowed as such: it is the guest's name server wherever the program thinks
 * that this is.
 */
#include "carried.h"
#include "parts/outside/links.h"
#include "parts/sockets/packets.h"

enum { NAME_PORT = 53, QUERY_MOST = 512, LINKS_MOST = 64 };

/* A link to one place. */
struct channel {
    struct link link;
    struct endpoint to;
    bool names;
};

static u8 bytes[DATAGRAM_MOST] LARGE;

static struct channel *channel_of(struct link *link) {
    return (struct channel *)link;
}

static bool is_within(const struct realm *realm, const struct endpoint *to) {
    u32 whole = realm->prefix / 8, rest = realm->prefix % 8;
    if (realm->chosen)
        return endpoint_is_chosen(realm->chosen, to);
    if (to->port < realm->low || to->port > realm->high || memcmp(realm->host, to->host, whole))
        return false;
    return !rest || !((realm->host[whole] ^ to->host[whole]) >> (8 - rest));
}

/* Whether who decides may say yes. */
static bool is_allowed(const struct endpoint *to) {
    for (u32 i = 0; i < realms_count; i++)
        if (is_within(&realms[i], to) && !(realms[i].name && to->port == NAME_PORT))
            return true;
    return false;
}

static bool asks_names(const struct endpoint *to) {
    return outside_broker && to->port == NAME_PORT && endpoint_reach(to) == TO_OUTSIDE &&
           !is_allowed(to);
}

static bool datagrams_lead(const struct socket *socket, const struct endpoint *to) {
    if (endpoint_reach(to) == TO_OUTSIDE || carriers_know(socket, to))
        return true;
    for (u32 i = 0; i < realms_count; i++) /* the host's own loopback, by its address */
        if (realms[i].prefix == 128 && is_within(&realms[i], to))
            return true;
    return false;
}

static void drop_oldest(struct socket *socket) {
    struct link *link = link_of(socket);
    u32 count = 1;
    for (; link && link->next; link = link->next)
        count++;
    if (count < LINKS_MOST)
        return;
    struct link *first = link_of(socket), *before = first;
    while (before->next != link)
        before = before->next;
    before->next = NULL;
    link->next = first;
    socket->outside = link;
    link_close(socket);
}

/* A new one, and the host's address of it. */
static long open_channel(struct socket *socket, const struct endpoint *to,
                         struct socket_broker *asked) {
    bool names = asks_names(to);
    if (!names && !is_allowed(to))
        return -ENETUNREACH;
    asked->what = names ? BROKER_RESOLVER : BROKER_UDP;
    asked->port = to->port;
    memcpy(asked->address, to->host, sizeof asked->address);
    drop_oldest(socket);
    hypercall_socket_broker(asked);
    if (asked->result < 0)
        return asked->result == -EMFILE ? outside_full(-ENOBUFS) : asked->result;
    struct link *link = link_add(socket, (u32)asked->result, sizeof(struct channel));
    if (!link)
        return -ENOMEM;
    link->writable = true;
    channel_of(link)->to = *to;
    channel_of(link)->names = names;
    return 0;
}

static struct link *link_to(const struct socket *socket, const struct endpoint *to) {
    struct link *link = link_of(socket);
    while (link && !same_endpoint(&channel_of(link)->to, to))
        link = link->next;
    return link;
}

static void drop_all(struct socket *socket) {
    while (link_of(socket))
        link_close(socket);
}

static long datagrams_connect(struct socket *socket, const struct endpoint *to) {
    struct socket_broker asked = {0};
    bool peer = carriers_know(socket, to);
    if (!peer) {
        drop_all(socket);
        long error = open_channel(socket, to, &asked);
        if (error)
            return error;
    }
    if (!peer && !socket->has_port) {
        port_leave(socket);
        socket->own = endpoint_from_host(asked.local);
    }
    source_for(to, &socket->own);
    socket->remote = *to;
    socket->state = CONNECTED;
    return 0;
}

static bool is_from(const struct socket *socket, const struct channel *channel) {
    return socket->state != CONNECTED || same_endpoint(&socket->remote, &channel->to);
}

/* What the host says of a place goes to a socket that is connected there. */
static void tell(struct socket *socket, const struct channel *channel, long error) {
    if (socket->state == CONNECTED && is_from(socket, channel))
        socket->error = (s32)-error;
}

/* One datagram into the socket's queue; false: there is none. */
static bool receive_one(struct socket *socket, struct link *link) {
    struct channel *channel = channel_of(link);
    struct socket_receive block = {
        .slot = link->slot, .address = (u64)bytes, .length = sizeof bytes};
    hypercall_socket_receive(&block);
    link->readable = block.result >= 0;
    bool ended = channel->names && !block.result; /* the broker has */
    if (block.result < 0 || ended) {
        link->readable = false;
        if (block.result != -EAGAIN)
            tell(socket, channel, ended ? -ECONNREFUSED : block.result);
        return block.result != -EAGAIN && !ended && !socket->error;
    }
    if (is_from(socket, channel))
        udp_put(socket, &channel->to, bytes, (u64)block.result);
    return true;
}

static void receive_all(struct socket *socket, bool told) {
    for (struct link *link = link_of(socket); link; link = link->next)
        while (!socket->in.first && !socket->error && (link->readable || !told))
            if (!receive_one(socket, link))
                break;
}

static long receive(struct socket *socket) {
    carriers_receive(socket, false);
    if (!socket->in.first)
        receive_all(socket, false);
    if (socket->in.first)
        return 0;
    return socket->error ? socket_error(socket) : -EAGAIN;
}

static u32 ready(struct socket *socket) {
    if (is_stream(socket))
        return published_ready(socket);
    if (!socket->in.first)
        carriers_receive(socket, true);
    if (!socket->in.first)
        receive_all(socket, true);
    return (socket->in.first ? POLL_READABLE : 0U) | (socket->error ? POLLERR : 0U);
}

static long send_over(struct socket *socket, struct link *link, struct message *message) {
    struct channel *channel = channel_of(link);
    u64 size = message->size;
    if (channel->names && size > QUERY_MOST)
        return -EMSGSIZE;
    message_get(message, bytes, size);
    struct socket_send block = {
        .slot = link->slot, .flags = SOCKET_SEND, .address = (u64)bytes, .length = size};
    hypercall_socket_send(&block);
    bool other = socket->state != CONNECTED || !is_from(socket, channel);
    if (block.result == -ECONNREFUSED && other) /* of what was sent before */
        hypercall_socket_send(&block);
    message->done = block.result < 0 ? 0 : size;
    return MIN(block.result, 0);
}

static long datagrams_send(struct socket *socket, struct message *message,
                           const struct endpoint *to) {
    if (carriers_know(socket, to))
        return carriers_send(socket, message, to);
    struct socket_broker asked = {0};
    struct link *link = link_to(socket, to);
    long error = link ? 0 : open_channel(socket, to, &asked);
    if (error == -ENETUNREACH)
        return outside_refused(socket, to);
    if (!error)
        error = port_take_any(socket);
    return error ? error : send_over(socket, link ? link : link_of(socket), message);
}

static u64 awaited(const struct socket *socket) {
    return socket->published || socket->outside ? WANT_SOCKETS : 0;
}

static bool leads(const struct socket *socket, const struct endpoint *to) {
    return is_stream(socket) ? endpoint_leads(socket, to) : datagrams_lead(socket, to);
}

static long connect(struct socket *socket, const struct endpoint *to) {
    return is_stream(socket) ? endpoint_connect(socket, to) : datagrams_connect(socket, to);
}

static void end(struct socket *socket) {
    if (is_stream(socket))
        published_end(socket);
    else
        drop_all(socket);
}

const struct network outside_with_datagrams = {.listen = published_listen,
                                               .bound = carriers_bound,
                                               .unpublish = end,
                                               .accept = published_accept,
                                               .receive = receive,
                                               .ready = ready,
                                               .awaited = awaited,
                                               .send = datagrams_send,
                                               .near = carriers_forget,
                                               .leads = leads,
                                               .connect = connect};
