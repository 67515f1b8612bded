/* Bytes to and from the program, and waiting until they can go. */
#include "core/thread.h"
#include "parts/sockets/packets.h"

#define SIGNAL_PIPE 13

/* Copies between a buffer and what follows `done`; the program may have changed its vector since
 * it was measured, so that it can be shorter. */
static void copy(struct message *message, u8 *inside, u64 size, bool to_program) {
    u64 skip = message->done;
    message->done += size;
    for (u64 i = 0; size && i < message->count; i++) {
        struct linux_iovec each = message->vector[i];
        if (skip >= each.length) {
            skip -= each.length;
            continue;
        }
        u64 piece = MIN(size, each.length - skip);
        u8 *outside = (u8 *)each.base + skip;
        if (to_program)
            memcpy(outside, inside, piece);
        else
            memcpy(inside, outside, piece);
        inside += piece, size -= piece, skip = 0;
    }
}

void message_get(struct message *message, u8 *to, u64 size) {
    copy(message, to, size, false);
}

void message_put(struct message *message, const u8 *from, u64 size) {
    copy(message, (u8 *)from, size, true);
}

long message_of(const struct linux_iovec *vector, u64 count, u32 flags, struct message *to) {
    long size = count > IOV_MAX ? -EMSGSIZE : vector_size(vector, count);
    if (size < 0)
        return size;
    *to = (struct message){.vector = vector,
                           .count = count,
                           .size = (u64)size,
                           .flags = flags,
                           .header = {.hops = -1, .class = -1}};
    return 0;
}

/* A bad address is a fault now, while nothing has been made yet. */
void message_touch(const struct message *message) {
    for (u64 i = 0; i < message->count; i++) {
        const struct linux_iovec each = message->vector[i];
        for (u64 at = 0; at < each.length; at += PAGE)
            (void)*(const volatile u8 *)(each.base + at);
        if (each.length)
            (void)*(const volatile u8 *)(each.base + each.length - 1);
    }
}

static long sent(const struct socket *socket, const struct message *message, long error) {
    if (error == -EPIPE && !message->done && is_stream(socket) && !(message->flags & MSG_NOSIGNAL))
        signal_raise(SIGNAL_PIPE);
    return message->done || !error ? (long)message->done : error;
}

/* Its descriptors go with the first bytes; those that nobody took are dropped. */
long socket_send(struct socket *socket, struct message *message) {
    const struct patience patience =
        socket_patience(socket, socket->send_timeout, message->flags,
                        "room in a socket from which nobody else can receive");
    long error;
    do {
        error = socket->transport->send(socket, message);
        if (error != -EAGAIN)
            break;
        error = socket_wait(socket, &patience);
        if (socket->state != CONNECTING)
            socket_waits_no_more(socket);
    } while (!error);
    rights_drop(message->rights);
    message->rights = NULL;
    return sent(socket, message, error);
}

long socket_receive(struct socket *socket, struct message *message) {
    bool errors = message->flags & MSG_ERRQUEUE && socket->family != AF_UNIX; /* never waited for */
    const struct patience patience = socket_patience(
        socket, socket->receive_timeout, message->flags | (errors ? (u32)MSG_DONTWAIT : 0U),
        "what nobody else can send to its socket");
    long error;
    do {
        error = socket->transport->receive(socket, message);
        if (error != -EAGAIN)
            break;
        error = socket_wait(socket, &patience);
    } while (!error);
    if (error && !message->done)
        return error;
    return (long)MAX(message->result, message->done);
}
