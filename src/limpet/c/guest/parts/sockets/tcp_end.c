/* How a TCP connection ends: one direction after the other, or at once. */
#include "parts/sockets/tcp.h"

static void leave_peer(struct socket *socket) {
    struct socket *peer = socket->peer;
    socket->peer = NULL;
    socket_put(peer);
}

static void end(struct socket *socket) {
    if (socket->state == CONNECTED || socket->state == CONNECTING)
        socket->state = ENDED;
    socket->shut = SHUT_BOTH;
    socket_changed(socket, ANYTHING);
}

void tcp_reset(struct socket *socket) {
    if (socket->state == ENDED)
        return;
    socket->error = socket->done ? EPIPE : ECONNRESET;
    end(socket);
}

/* It sends no more: its peer hears of it, and where both do not, that was all. */
static void finish(struct socket *socket) {
    struct socket *peer = socket->peer;
    if (!peer || socket->finished)
        return;
    socket->finished = true;
    if (peer->state == ENDED)
        return;
    peer->done = true;
    peer->shut |= SHUT_RECEIVE;
    if (peer->finished) {
        end(peer);
        end(socket);
    } else {
        socket_changed(peer, ANYTHING);
    }
}

/* Connections that nobody will accept, and those that wait to be. */
static void stop_listening(struct socket *socket) {
    if (socket->published)
        outside_network->unpublish(socket);
    socket->published = 0;
    socket->state = UNCONNECTED;
    while (socket->pending) {
        struct socket *each = socket->pending;
        socket->pending = each->next_pending;
        each->linger = 0;
        each->dead = true;
        tcp_close(each);
        socket_put(each);
    }
    socket->pending_count = 0;
    tcp_try_waiting(socket);
    socket_changed(socket, ANYTHING);
}

static void part(struct socket *socket, bool resets) {
    struct socket *peer = socket->peer;
    if (socket->state == LISTENING)
        stop_listening(socket);
    tcp_stop_waiting(socket);
    if (peer && resets && !peer->dead)
        tcp_reset(peer);
    else
        finish(socket);
    leave_peer(socket);
    packets_drop(socket);
}

long tcp_disconnect(struct socket *socket) {
    bool failed = socket->state == CONNECTING && socket->shut;
    bool cut = socket->state == CONNECTED || (socket->state == CONNECTING && !failed);
    part(socket, true);
    socket->state = UNCONNECTED;
    socket->shut = 0, socket->error = cut ? ECONNRESET : 0;
    socket->done = socket->finished = false;
    memset(&socket->remote, 0, sizeof socket->remote);
    if (!socket->bound)
        any_host(socket, &socket->own);
    socket_changed(socket, ANYTHING);
    return 0;
}

void tcp_close(struct socket *socket) {
    bool unread = socket->in.bytes;
    part(socket, !socket->linger || unread);
    port_leave(socket);
    internet_forget(socket);
}

long tcp_shutdown(struct socket *socket, u32 how) {
    long error = 0;
    if (socket->state == CONNECTING && socket->peer)
        socket->state = CONNECTED;
    switch (socket->state) {
    case LISTENING:
        if (how & SHUT_RECEIVE)
            tcp_disconnect(socket);
        break;
    case CONNECTING:
        return tcp_disconnect(socket);
    case UNCONNECTED:
    case ENDED:
        error = -ENOTCONN;
        socket->shut |= (u8)how;
        break;
    case CONNECTED:
        socket->shut |= (u8)how;
        if (how & SHUT_SEND)
            finish(socket);
        break;
    }
    socket_changed(socket, ANYTHING);
    return error;
}
