/* AF_UNIX packets: datagrams, and the sequenced ones of a connection. */
#include "parts/sockets/packets.h"
#include "parts/sockets/unix.h"

#define QUEUE_MOST 10 /* net.unix.max_dgram_qlen */

static bool full(const struct socket *socket) {
    return socket->in.count > QUEUE_MOST;
}

/* It takes packets of anyone, or of its peer alone. */
static bool takes_from(const struct socket *socket, const struct socket *from) {
    return !socket->peer || socket->peer == from;
}

static long connect(struct socket *socket, const struct address *address) {
    struct socket *other = NULL, *before = socket->peer;
    long error = address->length < UNIX_PATH ? -EINVAL : 0;
    if (!error && address->family != AF_UNSPEC) {
        error = unix_check(address);
        if (!error && option(socket, SO_PASSCRED))
            error = unix_autobind(socket);
        if (!error)
            error = unix_find(socket, address, &other);
        if (!error && !takes_from(other, socket))
            error = -EPERM;
    }
    if (error)
        return error;
    if (before && before != other)
        packets_drop(socket);
    socket->peer = other;
    socket->state = other ? CONNECTED : UNCONNECTED;
    if (other)
        other->references++;
    socket_put(before);
    return 0;
}

/* To whom: a reference, or why to nobody. */
static long receiver(struct socket *socket, const struct message *message, struct socket **to) {
    bool sequenced = socket->type == SOCK_SEQPACKET;
    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (sequenced && socket->state != CONNECTED)
        return -ENOTCONN;
    *to = socket->peer;
    if (message->address && !sequenced)
        return unix_check(message->address);
    return *to ? 0 : -ENOTCONN;
}

/* Its own side: size, errors, room. */
static long may_send(struct socket *socket, const struct message *message) {
    if (message->size > socket->send_size - 32)
        return -EMSGSIZE;
    if (socket->error)
        return socket_error(socket);
    if (socket->shut & SHUT_SEND)
        return -EPIPE;
    return socket->charged >= socket->send_size ? -EAGAIN : 0;
}

static long may_take(struct socket *from, struct socket *to) {
    if (!takes_from(to, from))
        return -EPERM;
    if (to->dead && from->peer == to) {
        from->peer = NULL;
        from->state = UNCONNECTED;
        socket_put(to);
        return -ECONNREFUSED;
    }
    if (to->shut & SHUT_RECEIVE)
        return -EPIPE;
    if (to == from || to->peer == from || !full(to))
        return 0;
    from->waits_for = to;
    to->references++;
    return -EAGAIN;
}

static long send(struct socket *socket, struct message *message) {
    struct socket *to;
    long error = receiver(socket, message, &to);
    if (!error && option(socket, SO_PASSCRED))
        error = unix_autobind(socket);
    if (!error)
        error = may_send(socket, message);
    if (!error && message->address && !unix_connected_kind(socket))
        error = unix_find(socket, message->address, &to);
    if (error)
        return error;
    error = may_take(socket, to);
    if (error) { /* what is freed of the message is room for others */
        socket_changed(socket, POLL_WRITABLE | POLLWRBAND);
        return error;
    }
    struct packet *packet = unix_packet(socket, to, message, message->size);
    if (!packet)
        return -ENOBUFS;
    packet_add(to, packet);
    socket_changed(to, POLL_READABLE);
    return 0;
}

static long nothing_there(const struct socket *socket, u32 flags) {
    bool never = flags & MSG_DONTWAIT || socket->file->flags & O_NONBLOCK;
    if (!(socket->shut & SHUT_RECEIVE))
        return -EAGAIN;
    return never && socket->type == SOCK_DGRAM ? -EAGAIN : 0;
}

static long receive(struct socket *socket, struct message *message) {
    bool looks = message->flags & MSG_PEEK;
    struct packet *packet = socket->in.first;
    if (unix_connected_kind(socket) && socket->state != CONNECTED)
        return -ENOTCONN;
    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (socket->error)
        return socket_error(socket);
    if (!packet)
        return nothing_there(socket, message->flags);
    u64 size = MIN(message->size, packet->size);
    message_put(message, packet->bytes, size);
    if (size < packet->size)
        message->told |= MSG_TRUNC;
    if (message->flags & MSG_TRUNC)
        message->result = packet->size;
    unix_tell_sender(packet, message, looks);
    if (looks)
        return 0;
    bool was_full = full(socket);
    packet_free(packet_take(socket));
    if (was_full && !full(socket))
        unix_queue_has_room(socket);
    return 0;
}

static u32 ready(struct socket *socket) {
    const struct socket *peer = socket->peer;
    u32 ready = unix_ready(socket);
    if (peer && peer->peer != socket && !peer->dead && full(peer))
        ready &= ~(u32)(POLL_WRITABLE | POLLWRBAND);
    return ready;
}

const struct transport unix_datagram = {.open = unix_enter,
                                        .bind = unix_bind,
                                        .connect = connect,
                                        .pair = unix_pair,
                                        .send = send,
                                        .receive = receive,
                                        .shutdown = unix_shutdown,
                                        .name = unix_name,
                                        .unread = unix_unread,
                                        .ready = ready,
                                        .close = unix_close};

const struct transport unix_sequenced = {.open = unix_enter,
                                         .bind = unix_bind,
                                         .listen = unix_listen,
                                         .accept = unix_accept,
                                         .connect = unix_connect_stream,
                                         .pair = unix_pair,
                                         .send = send,
                                         .receive = receive,
                                         .shutdown = unix_shutdown,
                                         .name = unix_name,
                                         .unread = unix_unread,
                                         .ready = unix_ready,
                                         .close = unix_close};
