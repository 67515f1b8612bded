/*
 * socket_broker, but for how a host system call is made: the same on both backends.
 *
 * The broker answers every request at once, so the answer is waited for here.  One that has ended
 * answers none: the guest has no network then.
 */
#include "broker_messages.h"

/* The slot that came; the kernel gives the lowest free descriptor, and all below slots are taken.
 */
static long take_from_broker(void) {
    struct broker_reply reply = {0};
    struct broker_passed passed = {0};
    struct broker_vector vector = {&reply, sizeof reply};
    struct broker_message message = {NULL, 0, &vector, 1, &passed, sizeof passed, 0};
    long got;
    do
        got = BROKER_RECEIVE(BROKER_FD, (long)&message, SOCKET_TAKE);
    while (got == -HOST_EINTR);
    if (got != sizeof reply)
        return -HOST_ENETDOWN;
    if (reply.result)
        return reply.result;
    return passed.size == PASSED_SIZE ? passed.fd : -HOST_EMFILE;
}

static void ask_broker(struct socket_broker *block) {
    struct broker_request request = {block->what, block->port, {0}};
    u32 size = sizeof block->local;
    for (u64 i = 0; i < sizeof request.address; i++)
        request.address[i] = ((const u8 *)block->address)[i];
    long sent = BROKER_SEND(BROKER_FD, (long)&request, sizeof request, SOCKET_SEND);
    block->result = sent == sizeof request ? take_from_broker() : -HOST_ENETDOWN;
    if (block->result < 0)
        return;
    u64 slot = (u64)block->result;
    const struct epoll_event event = {WATCHED_EVENTS,
                                      block->what == BROKER_TCP ? STREAM_AT(slot) : slot};
    BROKER_WATCH(EVENTS_FD, EPOLL_CTL_ADD, block->result, (long)&event);
    BROKER_LOCAL(block->result, (long)block->local, (long)&size);
}
