/* What the kinds of AF_UNIX sockets have in common. */
#include "parts/sockets/unix.h"
#include "parts/sockets/packets.h"

bool unix_connected_kind(const struct socket *socket) {
    return socket->type != SOCK_DGRAM;
}

long unix_choose(s32 type, s32 protocol, const struct transport **transport) {
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    switch (type) {
    case SOCK_STREAM:
        *transport = &unix_stream;
        return 0;
    case SOCK_SEQPACKET:
        *transport = &unix_sequenced;
        return 0;
    case SOCK_DGRAM:
    case SOCK_RAW:
        *transport = &unix_datagram;
        return 0;
    default:
        return -ESOCKTNOSUPPORT;
    }
}

/* As the kernel allocates a packet: what fits beside its own data with them, the rest in pages. */
u32 unix_charge(u64 size) {
    u64 shared = 320, head = 256, most = PAGE - shared;
    u64 pages = size > most ? MIN(ALIGN_UP(size - most, PAGE), size) : 0;
    u64 linear = size - pages + shared, room = 512;
    while (room < linear)
        room *= 2;
    return (u32)(room + head + ALIGN_UP(pages, PAGE));
}

/* Both forever: each keeps the other until it is closed itself. */
static void join(struct socket *from, struct socket *to) {
    from->peer = to;
    from->state = CONNECTED;
    from->by = own_credentials();
    to->references++;
}

long unix_pair(struct socket *socket, struct socket *other) {
    join(socket, other);
    join(other, socket);
    return 0;
}

/* Connections that nobody will accept. */
static void refuse_pending(struct socket *socket) {
    while (socket->pending) {
        struct socket *each = socket->pending;
        socket->pending = each->next_pending;
        each->peer->error = ECONNRESET;
        each->dead = true;
        unix_close(each);
        socket_put(each);
    }
}

void unix_close(struct socket *socket) {
    struct socket *peer = socket->peer;
    bool unread = socket->in.first;
    unix_leave(socket);
    refuse_pending(socket);
    unix_queue_has_room(socket);
    if (peer && unix_connected_kind(socket) && peer->peer == socket) {
        peer->shut = SHUT_BOTH;
        if (unread)
            peer->error = ECONNRESET;
        socket_changed(peer, ANYTHING);
    }
    socket->peer = NULL;
    packets_drop(socket);
    socket_put(peer);
}

long unix_shutdown(struct socket *socket, u32 how) {
    struct socket *peer = unix_connected_kind(socket) ? socket->peer : NULL;
    socket->shut |= (u8)how;
    socket_changed(socket, ANYTHING);
    if (!peer)
        return 0;
    peer->shut |= (u8)((how & SHUT_RECEIVE ? SHUT_SEND : 0) | (how & SHUT_SEND ? SHUT_RECEIVE : 0));
    socket_changed(peer, ANYTHING);
    return 0;
}

u32 unix_ready(struct socket *socket) {
    u32 ready = socket->error ? POLLERR : 0U;
    if (socket->shut == SHUT_BOTH)
        ready |= POLLHUP;
    if (socket->shut & SHUT_RECEIVE)
        ready |= POLLRDHUP | POLL_READABLE;
    if (socket->in.first || socket->pending)
        ready |= POLL_READABLE;
    if (unix_connected_kind(socket) && socket->state == UNCONNECTED)
        ready |= POLLHUP;
    if (unix_writable(socket))
        ready |= POLL_WRITABLE | POLLWRBAND;
    return ready;
}

long unix_unread(struct socket *socket) {
    if (socket->state == LISTENING)
        return -EINVAL;
    if (is_stream(socket))
        return (long)socket->in.bytes;
    return socket->in.first ? packet_left(socket->in.first) : 0;
}

/* Descriptors and who sent them; a look at them leaves them where they are. */
void unix_tell_sender(struct packet *packet, struct message *message, bool looks) {
    if (message->address)
        unix_name_told(packet->from, message->address);
    if (message->address && !packet->from)
        message->address->length = 0;
    message->by = packet->by, message->whom = packet->whom;
    message->rights = looks ? rights_copy(packet->rights) : packet->rights;
    if (!looks)
        packet->rights = NULL;
}

/* A packet with the next `size` bytes of a message; the descriptors go with its first. */
struct packet *unix_packet(struct socket *from, struct socket *to, struct message *message,
                           u64 size) {
    struct packet *packet = packet_new((u32)size);
    if (!packet)
        return NULL;
    message_get(message, packet->bytes, size);
    packet->size = (u32)size;
    packet->whom = message->whom || option(from, SO_PASSCRED) || option(to, SO_PASSCRED);
    packet->by = message->whom ? message->by : own_credentials();
    packet->from = from->own_name;
    if (packet->from)
        packet->from->references++;
    packet->rights = message->rights;
    message->rights = NULL;
    packet_charge(packet, from, unix_charge(size));
    return packet;
}
