/* The parts of socket_batch. */
#include "outside.h"

/* false: one came short, and those behind it are not sent: they may be of the same connection. */
static bool send_gathered(struct socket_send *sends, u64 count) {
    for (u64 i = 0; i < count; i++) {
        struct socket_send each = sends[i];
        const void *from = guest_range(each.address, each.length, GUEST_LO, GUEST_HI);
        long result = -HOST_EFAULT;
        if (!is_connection(each.slot) || (each.flags | SOCKET_SEND_MORE) != SOCKET_SEND_MORE ||
            !(each.flags & SOCKET_SEND))
            result = -HOST_EBADF;
        else if (from && each.length <= MAX_TRANSFER)
            result = host6(NR_SENDTO, each.slot, (long)from, (long)each.length, each.flags, 0, 0);
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

/* Of streams alone: a datagram would lose its sender.  An error is for SO_ERROR to tell. */
static void take_what_came(const struct epoll_event *event, u8 *room) {
    u32 slot = (u32)event->data, told = event->events;
    s64 *size = (s64 *)room;
    *size = SOCKET_NOT_TAKEN;
    if (event->data >> 32 == SOCKET_IS_STREAM && told & EPOLL_IN && !(told & EPOLL_ENDS) &&
        is_connection(slot))
        *size = bytes_brought(host6(NR_RECVFROM, slot, (long)(room + sizeof *size),
                                    SOCKET_ROOM - sizeof *size, 0, 0, 0));
}
