/* The parts of socket_batch. */
#include "hypercalls/socket_send/room.h"

/* Its result, and the end of a connection that has sent its last. */
static s64 send_one(const struct socket_send *each) {
    const void *from = guest_range(each->address, each->length, GUEST_LO, GUEST_HI);
    u32 flags = send_flags(each->flags);
    if (!is_connection(each->slot) || !flags)
        return -HOST_EBADF;
    if (!from || each->length > MAX_TRANSFER)
        return -HOST_EFAULT;
    long result = host6(NR_SENDTO, each->slot, (long)from, (long)each->length, flags, 0, 0);
    tell_of_room(each->slot, each->flags, result, each->length);
    if (each->flags & SOCKET_THEN_CLOSE && result == (long)each->length)
        host3(NR_CLOSE, each->slot, 0, 0);
    return result;
}

/* false: one came short, and those behind it are not sent: they may be of the same connection. */
static bool send_gathered(struct socket_send *sends, u64 count) {
    for (u64 i = 0; i < count; i++) {
        struct socket_send each = sends[i];
        s64 result = send_one(&each);
        sends[i].result = bytes_taken(result);
        if (result < 0 || (u64)result < each.length)
            return false;
    }
    return true;
}

static void wait_for_events(struct socket_batch *block, long events) {
    struct timespec rest = {1L << 40, 0};
    struct pollfd fds[2] = {{STDIN, POLLIN, 0}, {EVENTS_FD, POLLIN, 0}};
    if (block->timeout >= 0)
        rest.seconds = block->timeout / 1000000000, rest.nanoseconds = block->timeout % 1000000000;
    if (block->want & 1) {
        long got = host6(NR_PPOLL, (long)fds, 2, (long)&rest, 0, 0, 0);
        block->ready = got > 0 && fds[0].ready;
        rest = (struct timespec){0, 0};
    }
    block->result =
        host6(NR_EPOLL_PWAIT2, EVENTS_FD, events, SOCKET_EVENTS_MOST, (long)&rest, 0, 0);
}

static void receive_into(u32 slot, u8 *room) {
    *(s64 *)room = bytes_brought(
        host6(NR_RECVFROM, slot, (long)(room + sizeof(s64)), SOCKET_ROOM - sizeof(s64), 0, 0, 0));
}

/* Of streams alone: a datagram would lose its sender.  An error is for SO_ERROR to tell. */
static void take_what_came(const struct epoll_event *event, u8 *room) {
    u32 slot = (u32)event->data, told = event->events;
    *(s64 *)room = SOCKET_NOT_TAKEN;
    if (event->data >> 32 == SOCKET_IS_STREAM && told & EPOLL_IN && !(told & EPOLL_ENDS) &&
        is_connection(slot))
        receive_into(slot, room);
}

/* What has come to it already is read before anything of it is told, so that it is not told. */
static bool accept_one(u32 listener, struct socket_accept *to, u8 *room) {
    u32 peer[SOCKET_ADDRESS_SIZE / sizeof(u32)] = {0}, size = sizeof peer;
    long slot =
        host4(NR_ACCEPT4, (long)(LISTENERS_FD + listener), (long)peer, (long)&size, SOCKET_FLAGS);
    memcpy(to->peer, peer, sizeof peer);
    to->listener = listener, to->result = slot;
    if (slot < 0)
        return false;
    const struct epoll_event event = {WATCHED_EVENTS & ~EPOLL_OUT, STREAM_AT(slot)};
    receive_into((u32)slot, room);
    host4(NR_EPOLL_CTL, EVENTS_FD, EPOLL_CTL_ADD, slot, (long)&event);
    return true;
}

/* From the ports among `count` events that the monitor opened itself: what comes to a socket of the
 * starter's may be for others. */
static void accept_what_came(const struct epoll_event *events, long count, struct socket_accept *to,
                             u8 *rooms) {
    u64 taken = 0, most = SOCKET_EVENTS_MOST - (u64)count;
    most = most < SOCKET_ACCEPTS_MOST ? most : SOCKET_ACCEPTS_MOST;
    for (long i = 0; i < count; i++) {
        u64 listener = events[i].data - LISTENERS_FD;
        while (listener < OPENED && taken < most) {
            u8 *room = rooms + ((u64)count + taken) * SOCKET_ROOM;
            if (!accept_one((u32)listener, &to[taken++], room))
                break;
        }
    }
}
