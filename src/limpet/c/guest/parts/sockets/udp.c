/* UDP and UDP-Lite between sockets of the guest. */
#include "parts/sockets/headers.h"
#include "parts/sockets/packets.h"
#include "parts/sockets/unix.h"

#define SIZE_MOST 65507UL
#define EITHER_WAY (POLL_WRITABLE | POLLWRBAND)

static void open(struct socket *socket) {
    any_host(socket, &socket->own);
}

/* What comes from outside needs a port that was given. */
static void publish(struct socket *socket) {
    if (socket->transport != &udp)
        return;
    if (outside_network && outside_network->bound && !socket->published) {
        socket->published = outside_network->bound(socket);
        if (socket->published)
            socket_changed(socket, ANYTHING); /* who waits for it waits for the host now */
    }
}

static bool has_outside(const struct socket *socket) {
    return socket->published || socket->outside;
}

static bool leads_outside(const struct socket *socket, const struct endpoint *to) {
    return socket->transport == &udp && outside_network && outside_network->send &&
           outside_network->leads(socket, to);
}

static long bind(struct socket *socket, const struct address *address) {
    long error = internet_bind(socket, address);
    if (!error)
        publish(socket);
    return error;
}

static long disconnect(struct socket *socket) {
    if (has_outside(socket))
        outside_network->unpublish(socket);
    socket->state = UNCONNECTED;
    memset(&socket->remote, 0, sizeof socket->remote);
    if (!socket->bound)
        any_host(socket, &socket->own);
    if (!socket->has_port)
        port_leave(socket);
    return 0;
}

static long connect(struct socket *socket, const struct address *address) {
    struct endpoint to;
    if (address->length < sizeof address->family)
        return -EINVAL;
    if (address->family == AF_UNSPEC)
        return disconnect(socket);
    long error = endpoint_to(socket, address, &to);
    if (!error && leads_outside(socket, &to))
        return outside_network->connect(socket, &to);
    if (!error && endpoint_reach(&to) == TO_OUTSIDE)
        error = -ENETUNREACH;
    if (!error)
        error = port_take_any(socket);
    if (error)
        return error;
    socket->remote = to;
    source_for(&to, &socket->own);
    socket->state = CONNECTED;
    return 0;
}

static long where_to(const struct socket *socket, const struct message *message,
                     struct endpoint *to) {
    if (message->size > 0xffff)
        return -EMSGSIZE;
    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (!message->address) {
        *to = socket->remote;
        return socket->state == CONNECTED ? 0 : -EDESTADDRREQ;
    }
    long error = endpoint_to(socket, message->address, to);
    return error || to->port ? error : -EINVAL;
}

/* Who is full loses it, as on any network: NULL, and no error. */
static struct packet *room_for(const struct socket *to, u64 size, long *error) {
    u32 charge = unix_charge(size + 28);
    *error = 0;
    if (to->charged + charge > to->receive_size)
        return NULL;
    struct packet *packet = packet_new((u32)size);
    if (packet)
        packet->size = (u32)size, packet->charge = charge;
    else
        *error = -ENOBUFS;
    return packet;
}

static void add(struct socket *to, const struct endpoint *from, struct packet *packet,
                const struct header *header) {
    packet->endpoint = *from;
    packet->header = *header;
    to->charged += packet->charge;
    packet_add(to, packet);
    socket_changed(to, POLL_READABLE);
}

static long deliver(struct socket *to, const struct endpoint *source, struct message *message,
                    const struct header *header) {
    long error;
    struct packet *packet = room_for(to, message->size, &error);
    if (to->published)
        outside_network->near(to, source);
    if (packet) {
        message_get(message, packet->bytes, message->size);
        add(to, source, packet, header);
    }
    if (!error)
        message->done = message->size;
    return error;
}

void udp_put(struct socket *to, const struct endpoint *from, const void *bytes, u64 size) {
    long error;
    struct packet *packet = room_for(to, size, &error);
    if (!packet)
        return;
    struct endpoint here = to->own; /* what it says beside its bytes stays with the host */
    struct message message = {.header = {.hops = -1, .class = -1}};
    source_for(from, &here);
    const struct header header = header_sent(to, &message, &here);
    memcpy(packet->bytes, bytes, size);
    add(to, from, packet, &header);
}

/* Of UDP-Lite: whether as much of it has a checksum as the receiver wants. */
static bool is_covered(const struct socket *from, const struct socket *to, u64 size) {
    s32 covered = internet_number(from, SOL_UDP, UDPLITE_SEND_CSCOV);
    return !covered || (u64)covered >= size + 8 ||
           covered >= internet_number(to, SOL_UDP, UDPLITE_RECV_CSCOV);
}

/* What is for many hosts nothing can give, so only who reads the log is told. */
static long refuse(const struct socket *socket, const struct endpoint *to) {
    bool plain = socket->transport == &udp;
    if (endpoint_reach(to) != TO_NOBODY)
        return plain ? outside_refused(socket, to) : -ENETUNREACH;
    if (plain && outside_log)
        outside_log->connection(socket, to);
    return -ENETUNREACH;
}

static long send(struct socket *socket, struct message *message) {
    struct endpoint to, source;
    long error = where_to(socket, message, &to);
    bool out = !error && leads_outside(socket, &to);
    bool many = error == -ENETUNREACH && endpoint_reach(&to) == TO_NOBODY;
    if (many || (!error && !out && endpoint_reach(&to) == TO_OUTSIDE))
        error = refuse(socket, &to);
    if (!error && !out)
        error = port_take_any(socket);
    if (!error)
        error = socket_error(socket);
    if (!error && socket->shut & SHUT_SEND)
        error = -EPIPE;
    if (!error && message->size > SIZE_MOST)
        error = -EMSGSIZE;
    if (error || out)
        return error ? error : outside_network->send(socket, message, &to);
    source = socket->own;
    header_source(message, &to, &source);
    source_for(&to, &source);
    const struct header header = header_sent(socket, message, &to);
    struct socket *receiver = port_find(socket->transport, &source, &to);
    if (receiver && is_covered(socket, receiver, message->size))
        return deliver(receiver, &source, message, &header);
    message->done = message->size;
    if (!receiver && socket->state == CONNECTED) {
        socket->error = ECONNREFUSED;
        socket_changed(socket, POLLERR);
    }
    return 0;
}

static long nothing_there(const struct socket *socket, const struct message *message) {
    bool never = message->flags & MSG_DONTWAIT || socket->file->flags & O_NONBLOCK;
    return socket->shut & SHUT_RECEIVE && !never ? 0 : -EAGAIN;
}

static long receive(struct socket *socket, struct message *message) {
    if (message->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (socket->error)
        return socket_error(socket);
    long error = socket->in.first || !has_outside(socket) ? 0 : outside_network->receive(socket);
    struct packet *packet = socket->in.first;
    if (error && error != -EAGAIN)
        return error;
    if (!packet)
        return nothing_there(socket, message);
    u64 size = MIN(message->size, packet->size);
    message_put(message, packet->bytes, size);
    message->header = packet->header;
    if (message->address)
        endpoint_told(socket, &packet->endpoint, message->address);
    if (size < packet->size)
        message->told |= MSG_TRUNC;
    if (message->flags & MSG_TRUNC)
        message->result = packet->size;
    if (message->flags & MSG_PEEK)
        return 0;
    socket->charged -= packet->charge;
    packet_free(packet_take(socket));
    return 0;
}

static long shutdown(struct socket *socket, u32 how) {
    socket->shut |= (u8)how;
    socket_changed(socket, ANYTHING);
    return socket->state == CONNECTED ? 0 : -ENOTCONN;
}

static long unread(struct socket *socket) {
    if (has_outside(socket))
        outside_network->ready(socket); /* which takes what has come */
    return socket->in.first ? packet_left(socket->in.first) : 0;
}

static u32 ready(struct socket *socket) {
    if (has_outside(socket))
        outside_network->ready(socket);
    u32 ready = EITHER_WAY | (socket->error ? POLLERR : 0U);
    if (socket->shut == SHUT_BOTH)
        ready |= POLLHUP;
    if (socket->shut & SHUT_RECEIVE)
        ready |= POLL_READABLE | POLLRDHUP;
    if (socket->in.first)
        ready |= POLL_READABLE;
    return ready;
}

static u64 awaited(const struct socket *socket) {
    return has_outside(socket) ? outside_network->awaited(socket) : 0;
}

static void close(struct socket *socket) {
    if (has_outside(socket))
        outside_network->unpublish(socket);
    packets_drop(socket);
    port_leave(socket);
    internet_forget(socket);
}

#define DATAGRAMS                                                                                  \
    {.open = open,                                                                                 \
     .bind = bind,                                                                                 \
     .connect = connect,                                                                           \
     .send = send,                                                                                 \
     .receive = receive,                                                                           \
     .shutdown = shutdown,                                                                         \
     .name = internet_name,                                                                        \
     .set = internet_set,                                                                          \
     .get = internet_get,                                                                          \
     .unread = unread,                                                                             \
     .ready = ready,                                                                               \
     .awaited = awaited,                                                                           \
     .close = close}
const struct transport udp = DATAGRAMS, udp_lite = DATAGRAMS;
