/* AF_UNIX sockets with connections: how they come about, and streams over them. */
#include "parts/sockets/packets.h"
#include "parts/sockets/unix.h"

#define CHUNK_MOST 48832UL /* as Linux cuts a stream */

long unix_listen(struct socket *socket, u32 backlog) {
    if (!socket->own_name)
        return -EINVAL;
    if (socket->state != UNCONNECTED && socket->state != LISTENING)
        return -EINVAL;
    bool more = backlog > socket->backlog;
    socket->state = LISTENING;
    socket->backlog = backlog;
    socket->by = own_credentials();
    if (more)
        unix_queue_has_room(socket);
    return 0;
}

long unix_accept(struct socket *socket, struct socket **made) {
    if (socket->state != LISTENING)
        return -EINVAL;
    *made = socket->pending;
    if (!*made)
        return socket->shut & SHUT_RECEIVE ? -EINVAL : -EAGAIN;
    socket->pending = (*made)->next_pending;
    socket->pending_count--;
    unix_queue_has_room(socket);
    return 0;
}

static long may_connect(const struct socket *socket, const struct socket *listener) {
    if (listener->state != LISTENING || listener->shut & SHUT_RECEIVE)
        return -ECONNREFUSED;
    if (listener->pending_count > listener->backlog)
        return -EAGAIN;
    if (socket->state == CONNECTED)
        return -EISCONN;
    return socket->state == UNCONNECTED ? 0 : -EINVAL;
}

long unix_connect_stream(struct socket *socket, const struct address *address) {
    struct socket *listener;
    long error = unix_check(address);
    if (!error && option(socket, SO_PASSCRED))
        error = unix_autobind(socket);
    if (!error)
        error = unix_find(socket, address, &listener);
    if (!error)
        error = may_connect(socket, listener);
    if (error == -EAGAIN) {
        socket->waits_for = listener;
        listener->references++;
    }
    if (error)
        return error;
    struct socket *made = socket_new(socket->transport, AF_UNIX, socket->type, socket->protocol);
    if (!made)
        return -ENOMEM;
    made->own_name = listener->own_name;
    made->own_name->references++;
    made->options = listener->options & 1U << SO_PASSCRED;
    unix_pair(socket, made);
    socket_changed(socket, ANYTHING);
    socket_enqueue(listener, made);
    return 0;
}

static long may_send(const struct socket *socket, const struct message *message) {
    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (message->address)
        return socket->state == CONNECTED ? -EISCONN : -EOPNOTSUPP;
    if (!socket->peer)
        return -ENOTCONN;
    return socket->shut & SHUT_SEND ? -EPIPE : 0;
}

static long send(struct socket *socket, struct message *message) {
    long error = may_send(socket, message);
    while (!error && message->done < message->size) {
        struct socket *peer = socket->peer;
        u64 half = socket->send_size / 2 - 64;
        u64 size = MIN(MIN(message->size - message->done, half), CHUNK_MOST);
        if (socket->error)
            return socket_error(socket);
        if (socket->charged >= socket->send_size)
            return -EAGAIN;
        if (peer->dead || peer->shut & SHUT_RECEIVE)
            return -EPIPE;
        struct packet *packet = unix_packet(socket, peer, message, size);
        if (!packet)
            return -ENOBUFS;
        packet_add(peer, packet);
        socket_changed(peer, POLL_READABLE);
    }
    return error;
}

static bool same_sender(const struct packet *packet, const struct message *message) {
    return packet->whom == message->whom && !memcmp(&packet->by, &message->by, sizeof packet->by);
}

/* From the packets that are there: of one sender where that is told, and up to descriptors. */
static void take(struct socket *socket, struct message *message) {
    bool looks = message->flags & MSG_PEEK, told = false;
    struct packet *packet = socket->in.first;
    while (packet && message->done < message->size) {
        u64 piece = MIN(message->size - message->done, packet_left(packet));
        bool rights = packet->rights;
        if (message->done && option(socket, SO_PASSCRED) && !same_sender(packet, message))
            return;
        message_put(message, packet->bytes + packet->offset, piece);
        if (rights || !told)
            unix_tell_sender(packet, message, looks);
        told = true;
        struct packet *next = packet->next;
        if (!looks) {
            packet->offset += (u32)piece;
            socket->in.bytes -= piece;
        }
        if (!looks && !packet_left(packet))
            packet_free(packet_take(socket));
        if (rights)
            return;
        packet = next;
    }
}

static long receive(struct socket *socket, struct message *message) {
    bool all = message->flags & MSG_WAITALL && !(message->flags & MSG_PEEK);
    u64 target = all ? message->size : MIN(socket->low_water, message->size);
    if (socket->state != CONNECTED)
        return -EINVAL;
    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (!message->rights)
        take(socket, message);
    if (message->done >= MAX(target, 1UL) || message->rights)
        return 0;
    if (!message->size && socket->in.first)
        return 0;
    long error = socket_error(socket);
    return error || socket->shut & SHUT_RECEIVE ? error : -EAGAIN;
}

const struct transport unix_stream = {.open = unix_enter,
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
