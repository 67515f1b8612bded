/* TCP connections that the host has. */
#include "parts/outside/batch.h"

#define TOGETHER (16UL << 10) /* bytes of several pieces that are sent as one */

static u8 together[TOGETHER] LARGE;

/* A piece of the program's memory, which may be reserved and not there yet. */
static long receive_piece(struct link *link, u64 to, u64 size, u32 flags) {
    struct socket_receive block = {
        .slot = link->slot, .flags = flags, .address = to, .length = MIN(size, MAX_TRANSFER)};
    hypercall_socket_receive(&block);
    if (block.result == -EFAULT && memory_present(to, block.length))
        hypercall_socket_receive(&block);
    return block.result;
}

static long send_piece(struct link *link, u64 from, u64 size, bool more) {
    struct socket_send block = {.slot = link->slot,
                                .flags = (more ? SOCKET_SEND_MORE : SOCKET_SEND) | link_tells(link),
                                .address = from,
                                .length = MIN(size, MAX_TRANSFER)};
    hypercall_socket_send(&block);
    if (block.result == -EFAULT && memory_present(from, block.length))
        hypercall_socket_send(&block);
    link_was_sent(link, &block);
    return block.result;
}

/* What a read of `asked` bytes says of the next one: an error such as a bad address nothing.  Where
 * the other side has ended, that is still to be read. */
void link_was_read(struct link *link, long got, u64 asked) {
    if (got < 0 && got != -EAGAIN)
        return;
    bool rest = link->told & (POLLRDHUP | POLLHUP | POLLERR);
    link->told |= got ? 0 : POLLRDHUP;
    link->uncertain = got > 0 && (u64)got == asked;
    link->fresh = false;
    link->readable = link->uncertain || (got != -EAGAIN && (rest || !got));
}

/* Whether there is something to read, asked of the host where that is not known. */
static bool is_readable(struct socket *socket, struct link *link) {
    u8 byte;
    if (!link->uncertain || link->held[0].at)
        return link->readable || link->held[0].at;
    long got = receive_piece(link, (u64)&byte, 1, SOCKET_PEEK);
    link->uncertain = false;
    link->readable = got != -EAGAIN;
    if (got < 0 && got != -EAGAIN)
        socket->error = (s32)-got;
    return link->readable;
}

/* Where of the program's memory a message goes on, and how much there is of that piece. */
static u64 piece_of(const struct message *message, u64 *size) {
    u64 skip = message->done, index = 0;
    while (index < message->count && skip >= message->vector[index].length)
        skip -= message->vector[index++].length;
    *size = index < message->count ? message->vector[index].length - skip : 0;
    *size = MIN(*size, message->size - message->done);
    return index < message->count ? message->vector[index].base + skip : 0;
}

static long receive_some(struct link *link, struct message *message, u32 flags, bool all) {
    while (message->done < message->size) {
        u64 size, to = piece_of(message, &size);
        long got = receive_piece(link, to, size, flags);
        if (!flags || got == -EAGAIN)
            link_was_read(link, got, MIN(size, MAX_TRANSFER));
        if (got <= 0)
            return got;
        message->done += (u64)got;
        if (((u64)got < size && !all) || flags)
            return 0;
    }
    return 0;
}

/* Bytes, the end of them, or nobody knows yet. */
static bool has_come(const struct link *link) {
    return link->held[0].at || link->readable || link->fresh;
}

static long receive(struct socket *socket, struct message *message) {
    struct link *link = link_of(socket);
    if (message->flags & (MSG_OOB | MSG_ERRQUEUE))
        return message->flags & MSG_ERRQUEUE ? -EAGAIN : -EINVAL; /* none ever came */
    if (socket->error && !(link && link->held[0].at))
        return socket_error(socket);
    if (socket->state == CONNECTING || !link)
        return socket->state == CONNECTING ? -EAGAIN : -ENOTCONN;
    bool all = (message->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
    u64 before = message->done;
    if (!has_come(link) && !(socket->shut & SHUT_RECEIVE) && !(links_glance() && has_come(link)))
        return -EAGAIN;
    if (link->held[0].at)
        held_give(link, message);
    else if (link->ended)
        return 0;
    bool whole = message->done == message->size;
    bool more = link->uncertain || (all && link->readable); /* the end, too, is told once */
    if (message->done > before && (whole || !more))
        return all && !whole ? -EAGAIN : 0;
    long error = receive_some(link, message, message->flags & MSG_PEEK, all);
    bool shut = socket->shut & SHUT_RECEIVE;
    if (error == -EAGAIN && (message->done > before || shut))
        return all && !shut ? -EAGAIN : 0;
    if (error < 0 && error != -EAGAIN && message->done) {
        socket->error = (s32)-error; /* the next one tells */
        return 0;
    }
    return error;
}

/* Several small pieces go as one, larger ones one by one. */
static long send_next(struct link *link, const struct message *message) {
    u64 size, from = piece_of(message, &size), rest = message->size - message->done;
    if (size < rest && rest <= TOGETHER) {
        struct message copy = *message; /* what moves is what the host has taken */
        message_get(&copy, together, rest);
        return send_piece(link, (u64)together, rest, false);
    }
    return send_piece(link, from, size, size < rest);
}

static long send(struct socket *socket, struct message *message) {
    struct link *link = link_of(socket);
    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (socket->error)
        return socket_error(socket);
    if (socket->state == CONNECTING)
        return -EAGAIN;
    if (!link || socket->state == UNCONNECTED)
        return -ENOTCONN;
    if (socket->shut & SHUT_SEND)
        return -EPIPE;
    if (batch_takes(socket, message))
        return 0;
    batch_flush_of(link);
    if (link->unsent)
        return socket->error ? socket_error(socket) : -EAGAIN;
    while (message->done < message->size) {
        bool may = link->writable || (links_glance() && link->writable);
        long sent = may ? send_next(link, message) : -EAGAIN;
        if (sent == -EAGAIN)
            link->writable = false;
        if (sent < 0)
            return sent;
        message->done += (u64)sent;
    }
    return 0;
}

/* Nothing that send or receive would do before they ask the host, or behind it. */
static bool is_plain(const struct socket *socket, const struct link *link, u64 size) {
    return link && socket->state == CONNECTED && !socket->error && size && size <= MAX_TRANSFER;
}

static long take(struct socket *socket, u64 to, u64 size) {
    struct link *link = link_of(socket);
    if (!is_plain(socket, link, size) || link->held[0].at || link->ended || !has_come(link))
        return -EAGAIN;
    long got = receive_piece(link, to, size, 0);
    link_was_read(link, got, size);
    return got;
}

/* In a virtual machine sends are gathered.  An error stays for the message that follows, but for a
 * bad address, which is a fault then. */
static long give(struct socket *socket, u64 from, u64 size) {
    struct link *link = link_of(socket);
    if (!is_plain(socket, link, size) || boot_info.backend == BACKEND_KVM || !link->writable ||
        link->corked || link->gathered || link->unsent || socket->shut & SHUT_SEND)
        return 0;
    long sent = send_piece(link, from, size, false);
    if (sent == -EAGAIN)
        link->writable = false;
    else if (sent < 0 && sent != -EFAULT)
        socket->error = (s32)-sent;
    return MAX(sent, 0);
}

static long shut(struct socket *socket, u32 how) {
    if (socket->state != CONNECTED)
        return -ENOTCONN;
    struct link *link = link_of(socket);
    struct socket_close block = {.slot = link->slot, .how = how - 1};
    batch_flush_of(link);
    if (link->unsent)
        link->shut_next |= (u8)how; /* when all is sent */
    else
        hypercall_socket_close(&block);
    if (block.result)
        return block.result;
    socket->shut |= (u8)how;
    socket_changed(socket, ANYTHING);
    return 0;
}

/* An error that the host has told of and nothing has met yet. */
static void failed(struct socket *socket) {
    struct link *link = link_of(socket);
    links_glance();
    if (link && link->told & POLLERR && !socket->error)
        socket->error = link_error(link);
}

/* Both sides have ended, or one has broken it off. */
static bool gone(struct socket *socket) {
    const struct link *link = link_of(socket);
    links_glance();
    return link && link->told & POLLHUP;
}

static u32 ready(struct socket *socket) {
    struct link *link = link_of(socket);
    u32 found = socket->error ? POLLERR : 0;
    if (!link)
        return found | POLLHUP | POLL_WRITABLE;
    if (socket->state == CONNECTING)
        return found;
    found |= link->told;
    if (socket->shut & SHUT_RECEIVE)
        found |= POLL_READABLE | POLLRDHUP;
    if (is_readable(socket, link))
        found |= POLL_READABLE;
    return found | (link->writable ? POLL_WRITABLE : 0);
}

static u64 awaited(const struct socket *socket) {
    return socket->outside ? WANT_SOCKETS : 0;
}

static void closed(struct socket *socket) {
    if (link_of(socket) && !batch_leaves(socket))
        link_close(socket);
}

/* As far as it can be told: the host is asked for no more than would be read. */
static long unread(struct socket *socket) {
    struct link *link = link_of(socket);
    long got = link ? receive_piece(link, (u64)together, TOGETHER, SOCKET_PEEK) : 0;
    return MAX(got, 0) + (link ? (long)(link->held[0].size + link->held[1].size) : 0);
}

/* Kept in the guest, as of any socket, and told to the host where it counts there. */
static long set(struct socket *socket, s32 level, s32 name, const void *value, u32 size) {
    long error = internet_set(socket, level, name, value, size);
    if (!error && link_of(socket) && level == SOL_TCP && size >= sizeof(s32))
        link_keep(socket, level, name, *(const s32 *)value);
    return error;
}

static void kept(struct socket *socket, s32 name, const void *value, u32 size) {
    (void)size;
    if (link_of(socket))
        link_keep(socket, SOL_SOCKET, name, *(const s32 *)value);
}

/* It has its addresses, and listens no more. */
static long never_listens(struct socket *socket, u32 backlog) {
    (void)socket, (void)backlog;
    return -EINVAL;
}

static long never_accepts(struct socket *socket, struct socket **made) {
    (void)socket, (void)made;
    return -EINVAL;
}

const struct transport outside_stream = {.bind = internet_bind,
                                         .listen = never_listens,
                                         .accept = never_accepts,
                                         .connect = endpoint_again,
                                         .send = send,
                                         .receive = receive,
                                         .give = give,
                                         .take = take,
                                         .shutdown = shut,
                                         .name = internet_name,
                                         .set = set,
                                         .get = link_get,
                                         .kept = kept,
                                         .failed = failed,
                                         .gone = gone,
                                         .unread = unread,
                                         .ready = ready,
                                         .awaited = awaited,
                                         .close = closed};
