/*
 * socket_batch on kvm: what would be an exit for each connection is one for all.
 *
 * The guest names its connections, lengths and addresses here, each of which is checked as in a
 * hypercall of its own.  It is stopped meanwhile, so that nothing changes behind a check; but what
 * is received can come to lie over the events, which are therefore checked as what it says.
 *
 * The monitor itself writes to sends, accepts and rooms: they lie where argument blocks do, since
 * other memory of the guest's may be constant or not there.
 */
#include "hypercalls/socket_batch/batch.h"

static void serve_socket_batch(struct socket_batch *block) {
    u64 rooms = SOCKET_EVENTS_MOST * SOCKET_ROOM;
    struct epoll_event *events =
        guest_range(block->events, SOCKET_EVENTS_MOST * EPOLL_EVENT_SIZE, GUEST_LO, GUEST_HI);
    u8 *to = guest_block(block->rooms, rooms);
    struct socket_accept *made =
        guest_block(block->accepts, SOCKET_ACCEPTS_MOST * sizeof(struct socket_accept));
    u64 count = block->send_count;
    block->ready = 0;
    block->result = -HOST_EFAULT;
    if ((block->events.at && !events) || (block->rooms.at && !to) || (block->accepts.at && !made) ||
        count > SOCKET_SENDS_MOST)
        return;
    struct socket_send *sends = guest_block(block->sends, count * sizeof(struct socket_send));
    if ((count && !sends) || (block->sends.at | block->rooms.at | block->accepts.at) % sizeof(u64))
        return;
    block->result = 0;
    if (!send_gathered(sends, count))
        block->timeout = 0; /* there is something to tell */
    if (events)
        wait_for_events(block, (long)events);
    for (long i = 0; events && to && i < block->result; i++)
        take_what_came(&events[i], to + (u64)i * SOCKET_ROOM);
    if (LISTENERS && events && to && made && block->result > 0)
        accept_what_came(events, block->result, made, to);
}
