/*
 * Names: whatever a UDP socket sends to port 53 of any address outside goes to the broker, which is
 * the guest's name server wherever the program thinks that it is.  The socket is that way's own
 * then: a slot like any other, whose packets are queries and answers.
 */
#include "parts/outside/links.h"

enum { NAME_PORT = 53, PACKET_MOST = 512 };

static u8 packet[PACKET_MOST];

static bool is_name_server(const struct socket *socket, const struct endpoint *to) {
    return socket->type == SOCK_DGRAM && to->port == NAME_PORT;
}

/* From now on it asks the broker. */
static long take(struct socket *socket, const struct endpoint *to) {
    struct socket_broker block = {.what = BROKER_RESOLVER};
    hypercall_socket_broker(&block);
    if (block.result < 0)
        return block.result == -EMFILE ? -ENOBUFS : block.result;
    u16 port = socket->own.port;
    port_leave(socket);
    if (!link_give(socket, (u32)block.result))
        return -ENOMEM;
    socket->own.port = port;
    socket->transport = &outside_names;
    socket->remote = *to;
    link_of(socket)->writable = true;
    return 0;
}

/* Another datagram socket is connected by resolvers only to see which address it would have. */
long names_connect(struct socket *socket, const struct endpoint *to) {
    if (!is_name_server(socket, to))
        return -ENETUNREACH;
    long error = take(socket, to);
    if (!error)
        socket->state = CONNECTED;
    return error;
}

static long send(struct socket *socket, struct message *message) {
    struct link *link = link_of(socket);
    u64 size = message->size;
    if (size > PACKET_MOST)
        return -EMSGSIZE;
    message_get(message, packet, size);
    struct socket_send block = {
        .slot = link->slot, .flags = SOCKET_SEND, .address = (u64)packet, .length = size};
    hypercall_socket_send(&block);
    message->done = block.result < 0 ? 0 : size;
    return MIN(block.result, 0);
}

/* The first that a socket sends which is not connected. */
long names_send(struct socket *socket, struct message *message) {
    struct endpoint to;
    long error = endpoint_to(socket, message->address, &to);
    if (!error && !is_name_server(socket, &to))
        error = -ENETUNREACH;
    if (!error)
        error = take(socket, &to);
    return error ? error : send(socket, message);
}

static long connect_again(struct socket *socket, const struct address *address) {
    struct endpoint to;
    long error = endpoint_to(socket, address, &to);
    if (!error && !is_name_server(socket, &to))
        error = -ENETUNREACH;
    if (!error)
        socket->remote = to, socket->state = CONNECTED;
    return error;
}

static void tell_sender(struct socket *socket, struct address *to) {
    enum socket_state state = socket->state;
    socket->state = CONNECTED;
    socket->transport->name(socket, true, to);
    socket->state = state;
}

static long receive(struct socket *socket, struct message *message) {
    struct link *link = link_of(socket);
    struct socket_receive block = {.slot = link->slot,
                                   .flags = message->flags & MSG_PEEK ? SOCKET_PEEK : 0,
                                   .address = (u64)packet,
                                   .length = PACKET_MOST};
    hypercall_socket_receive(&block);
    link->readable = block.result >= 0;
    if (block.result <= 0)
        return block.result ? block.result : -ECONNREFUSED; /* the broker has ended */
    u64 size = MIN((u64)block.result, message->size);
    message_put(message, packet, size);
    if (size < (u64)block.result)
        message->told |= MSG_TRUNC;
    if (message->flags & MSG_TRUNC)
        message->result = (u64)block.result;
    if (message->address)
        tell_sender(socket, message->address);
    return 0;
}

/* Whether a packet is there, asked of the host where one was read. */
static u32 ready(struct socket *socket) {
    struct link *link = link_of(socket);
    if (link->readable) {
        u8 byte;
        struct socket_receive block = {
            .slot = link->slot, .flags = SOCKET_PEEK, .address = (u64)&byte, .length = 1};
        hypercall_socket_receive(&block);
        link->readable = block.result != -EAGAIN;
    }
    return POLL_WRITABLE | (link->readable ? POLL_READABLE : 0);
}

static u64 awaited(const struct socket *socket) {
    return socket->outside ? WANT_SOCKETS : 0;
}

static long nothing(struct socket *socket, u32 how) {
    (void)how;
    return socket->state == CONNECTED ? 0 : -ENOTCONN;
}

static long unread(struct socket *socket) {
    struct socket_receive block = {.slot = link_of(socket)->slot,
                                   .flags = SOCKET_PEEK,
                                   .address = (u64)packet,
                                   .length = PACKET_MOST};
    hypercall_socket_receive(&block);
    return MAX(block.result, 0);
}

const struct transport outside_names = {.connect = connect_again,
                                        .send = send,
                                        .receive = receive,
                                        .shutdown = nothing,
                                        .name = internet_name,
                                        .set = internet_set,
                                        .get = internet_get,
                                        .unread = unread,
                                        .ready = ready,
                                        .awaited = awaited,
                                        .close = link_close};
