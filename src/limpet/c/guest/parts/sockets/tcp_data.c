/* What is sent over a TCP connection: bytes, in packets that have room for more. */
#include "parts/sockets/tcp.h"

#define PACKET_MOST                                                                                \
    (4 * PAGE - 64 - sizeof(struct packet)) /* with the heap's own head: whole pages */
#define PACKET_LEAST 256UL

static u64 limit_of(const struct socket *socket) {
    return (u64)socket->send_size + socket->peer->receive_size;
}

/* As the kernel has it, a third of it has to be free. */
static bool is_writable(const struct socket *socket) {
    return socket->peer->in.bytes * 3 <= limit_of(socket) * 2;
}

/* Sent into a connection that the other side has closed: it answers with a reset. */
static long send_to_nobody(struct socket *socket, struct message *message) {
    message->done = message->size;
    if (message->size)
        tcp_reset(socket);
    return 0;
}

/* The last packet, where it has room; otherwise a new one. */
static struct packet *packet_for(struct socket *to, u64 size) {
    struct packet *last = to->in.last;
    if (last && last->size < last->room)
        return last;
    struct packet *made = packet_new((u32)MAX(MIN(size, PACKET_MOST), PACKET_LEAST));
    if (made)
        packet_add(to, made);
    return made;
}

static long send_bytes(struct socket *socket, struct message *message) {
    struct socket *peer = socket->peer;
    u64 limit = limit_of(socket);
    while (message->done < message->size) {
        u64 used = peer->in.bytes;
        if (used >= limit)
            return -EAGAIN;
        struct packet *packet = packet_for(peer, message->size - message->done);
        if (!packet)
            return -ENOBUFS;
        u64 size = MIN(message->size - message->done, packet->room - packet->size);
        size = MIN(size, limit - used);
        message_get(message, packet->bytes + packet->size, size);
        packet->size += (u32)size;
        peer->in.bytes += size;
        socket_changed(peer, POLL_READABLE);
    }
    return 0;
}

static long send(struct socket *socket, struct message *message) {
    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (socket->error)
        return socket_error(socket);
    if (socket->state == CONNECTING && !socket->peer && !socket->shut)
        return -EAGAIN;
    if (!socket->peer || socket->shut & SHUT_SEND)
        return -EPIPE;
    return socket->peer->dead ? send_to_nobody(socket, message) : send_bytes(socket, message);
}

/* MSG_TRUNC: they are not wanted. */
static void take(struct socket *socket, struct message *message) {
    bool looks = message->flags & MSG_PEEK;
    struct packet *packet = socket->in.first;
    while (packet && message->done < message->size) {
        u64 piece = MIN(message->size - message->done, packet_left(packet));
        struct packet *next = packet->next;
        if (message->flags & MSG_TRUNC)
            message->done += piece;
        else
            message_put(message, packet->bytes + packet->offset, piece);
        if (!looks) {
            packet->offset += (u32)piece;
            socket->in.bytes -= piece;
            if (!packet_left(packet))
                packet_free(packet_take(socket));
        }
        packet = next;
    }
}

/* There is room again, and there was none. */
static void take_and_tell(struct socket *socket, struct message *message) {
    struct socket *peer = socket->peer;
    bool counts = peer && !peer->dead && peer->peer == socket;
    bool was_full = counts && !is_writable(peer);
    take(socket, message);
    if (was_full && is_writable(peer))
        socket_changed(peer, POLL_WRITABLE);
}

static long receive(struct socket *socket, struct message *message) {
    bool all = message->flags & MSG_WAITALL && !(message->flags & MSG_PEEK);
    u64 target = all ? message->size : MIN(socket->low_water, message->size);
    if (message->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    if (socket->state == LISTENING)
        return -ENOTCONN;
    if (message->flags & MSG_OOB)
        return -EINVAL; /* none ever came */
    take_and_tell(socket, message);
    if (message->done >= MAX(target, 1UL) || (!message->size && socket->in.bytes))
        return 0;
    if (message->done && (socket->error || socket->shut & SHUT_RECEIVE))
        return 0;
    if (socket->done)
        return 0;
    if (socket->error)
        return socket_error(socket);
    if (socket->shut & SHUT_RECEIVE)
        return 0;
    return socket->state == UNCONNECTED ? -ENOTCONN : -EAGAIN;
}

static long unread(struct socket *socket) {
    return socket->state == LISTENING ? -EINVAL : (long)socket->in.bytes;
}

static u32 listening_ready(struct socket *socket) {
    if (socket->pending)
        return POLL_READABLE;
    return socket->published ? outside_network->ready(socket) : 0;
}

static u32 ready(struct socket *socket) {
    bool connected = socket->peer;
    u32 ready = socket->error ? POLLERR : 0U;
    if (socket->state == LISTENING)
        return listening_ready(socket);
    bool closed = socket->state == UNCONNECTED || socket->state == ENDED;
    if (socket->shut == SHUT_BOTH || closed)
        ready |= POLLHUP;
    if (socket->shut & SHUT_RECEIVE)
        ready |= POLL_READABLE | POLLRDHUP;
    if (socket->state == CONNECTING && !connected && !socket->shut)
        return ready;
    if (socket->in.bytes)
        ready |= POLL_READABLE;
    if (!connected || socket->shut & SHUT_SEND || is_writable(socket))
        ready |= POLL_WRITABLE;
    return ready;
}

static u64 awaited(const struct socket *socket) {
    return socket->published ? outside_network->awaited(socket) : 0;
}

static void open(struct socket *socket) {
    any_host(socket, &socket->own);
    socket->receive_size = 131072; /* net.ipv4.tcp_rmem and tcp_wmem */
    socket->send_size = 16384;
}

const struct transport tcp = {.open = open,
                              .bind = internet_bind,
                              .listen = tcp_listen,
                              .accept = tcp_accept,
                              .connect = tcp_connect,
                              .send = send,
                              .receive = receive,
                              .shutdown = tcp_shutdown,
                              .name = internet_name,
                              .set = internet_set,
                              .get = internet_get,
                              .unread = unread,
                              .ready = ready,
                              .awaited = awaited,
                              .close = tcp_close};
