/* TCP between sockets of the guest: connections, as the kernel's loopback makes them. */
#include "parts/sockets/tcp.h"

static void wait_for_room(struct socket *socket, struct socket *listener) {
    struct socket **last = &listener->waiting;
    while (*last)
        last = &(*last)->next_pending;
    *last = socket;
    socket->waits_for = listener;
    listener->references++;
}

void tcp_stop_waiting(struct socket *socket) {
    struct socket *listener = socket->waits_for;
    if (!listener)
        return;
    struct socket **each = &listener->waiting;
    while (*each && *each != socket)
        each = &(*each)->next_pending;
    if (*each)
        *each = socket->next_pending;
    socket->next_pending = socket->waits_for = NULL;
    socket_put(listener);
}

/* The other side of a connection, with what it has of the listening socket. */
static struct socket *child_of(const struct socket *listener, struct socket *from) {
    struct socket *made = socket_new(&tcp, listener->family, SOCK_STREAM, listener->protocol);
    if (!made)
        return NULL;
    made->options = listener->options;
    made->linger = listener->linger;
    made->send_size = listener->send_size, made->receive_size = listener->receive_size;
    made->low_water = listener->low_water;
    internet_inherit(listener, made);
    made->own = from->remote;
    made->remote = from->own;
    made->state = CONNECTED;
    made->peer = from;
    from->references++;
    port_share(made);
    return made;
}

/* It is connected now, has to wait for room in the queue, or has failed. */
static void attempt(struct socket *socket) {
    struct socket *listener = port_find(&tcp, &socket->own, &socket->remote);
    bool full = listener && listener->pending_count > listener->backlog;
    if (full) {
        wait_for_room(socket, listener);
        return;
    }
    struct socket *made = listener ? child_of(listener, socket) : NULL;
    if (!made) {
        socket->error = ECONNREFUSED;
        socket->shut = SHUT_BOTH;
        socket_changed(socket, ANYTHING);
        return;
    }
    socket->peer = made;
    made->references++;
    socket_changed(socket, ANYTHING);
    socket_enqueue(listener, made);
}

/* There may be room for those that wait, or nobody listens any more. */
void tcp_try_waiting(struct socket *listener) {
    while (listener->waiting &&
           (listener->state != LISTENING || listener->pending_count <= listener->backlog)) {
        struct socket *each = listener->waiting;
        tcp_stop_waiting(each);
        attempt(each);
    }
}

long tcp_listen(struct socket *socket, u32 backlog) {
    if (socket->state != UNCONNECTED && socket->state != LISTENING)
        return -EINVAL;
    socket->backlog = backlog;
    if (socket->state == LISTENING) {
        tcp_try_waiting(socket);
        return 0;
    }
    long error = port_take_any(socket);
    if (!error && port_listened(socket))
        error = -EADDRINUSE;
    if (error)
        return error;
    socket->state = LISTENING;
    if (outside_network)
        socket->published = outside_network->listen(socket);
    if (socket->published)
        socket_changed(socket, ANYTHING); /* who waits for it waits for the host now */
    return 0;
}

long tcp_accept(struct socket *socket, struct socket **made) {
    if (socket->state != LISTENING)
        return -EINVAL;
    *made = socket->pending;
    if (!*made)
        return socket->published ? outside_network->accept(socket, made) : -EAGAIN;
    socket->pending = (*made)->next_pending;
    socket->pending_count--;
    tcp_try_waiting(socket);
    return 0;
}

/* What became of a connection that was begun. */
static long outcome(struct socket *socket) {
    if (socket->peer) {
        socket->state = CONNECTED;
        return 0;
    }
    if (!socket->shut)
        return -EALREADY;
    long error = socket_error(socket);
    tcp_disconnect(socket);
    return error ? error : -ECONNABORTED;
}

long tcp_connect(struct socket *socket, const struct address *address) {
    struct endpoint to;
    if (address->length < sizeof address->family)
        return -EINVAL;
    if (address->family == AF_UNSPEC)
        return tcp_disconnect(socket);
    if (socket->state == CONNECTING)
        return outcome(socket);
    if (socket->state != UNCONNECTED)
        return -EISCONN;
    long error = endpoint_to(socket, address, &to);
    if (error)
        return error;
    if (outside_network && outside_network->leads(socket, &to))
        return outside_network->connect(socket, &to);
    if (endpoint_reach(&to) == TO_OUTSIDE)
        return outside_refused(socket, &to);
    error = port_take_any(socket);
    if (error)
        return error;
    socket->remote = to;
    source_for(&to, &socket->own);
    socket->state = CONNECTING;
    socket->shut = 0;
    attempt(socket);
    return -EINPROGRESS;
}
