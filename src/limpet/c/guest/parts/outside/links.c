/* What the host tells of links, for all of them together. */
#include "core/alarm.h"
#include "parts/clock/clock.h"
#include "parts/outside/batch.h"
#include "parts/poll/ready.h"
#include "parts/sockets/tcp.h"

static struct socket **sockets; /* by slot, from outside_slots.first on */
static struct epoll_event events[SOCKET_EVENTS_MOST];
static u32 in_use; /* of the slots */
bool links_made;
static u64 asked; /* when the host was asked last what has happened */

static void give_back(u32 slot) {
    struct socket_close block = {.slot = slot, .how = SOCKET_CLOSE};
    hypercall_socket_close(&block);
}

struct link *link_add(struct socket *socket, u32 slot, u64 size) {
    struct link *link = heap_alloc(size);
    if (!sockets)
        sockets = heap_alloc((outside_slots.end - outside_slots.first) * sizeof(struct socket *));
    if (!link || !sockets) {
        heap_free(link);
        give_back(slot);
        return NULL;
    }
    *link = (struct link){.next = socket->outside, .slot = slot};
    links_made = true, in_use++;
    socket->outside = link;
    sockets[slot - outside_slots.first] = socket;
    socket_changed(socket, ANYTHING); /* who waits for it waits for the host now */
    return link;
}

static bool give(struct socket *socket, u32 slot) {
    if (!link_add(socket, slot, sizeof(struct link)))
        return false;
    socket->transport = &outside_stream;
    return true;
}

struct socket *link_new(u32 slot, u16 family, u16 protocol) {
    struct socket *socket = socket_new(&outside_stream, family, SOCK_STREAM, protocol);
    if (!socket) {
        give_back(slot);
        return NULL;
    }
    if (!give(socket, slot)) {
        socket_put(socket);
        return NULL;
    }
    return socket;
}

long link_begin(struct socket *socket, s64 slot, const void *local, const struct endpoint *to) {
    if (slot < 0)
        return slot == -EMFILE ? outside_full(-EADDRNOTAVAIL) : slot;
    port_leave(socket);
    if (!give(socket, (u32)slot))
        return -ENOMEM;
    link_keep_all(socket);
    socket->own = endpoint_from_host(local), socket->remote = *to;
    socket->state = CONNECTING;
    return -EINPROGRESS;
}

void link_close(struct socket *socket) {
    struct link *link = link_of(socket);
    batch_forget(link);
    if (!link->over)
        give_back(link->slot);
    sockets[link->slot - outside_slots.first] = NULL;
    socket->outside = link->next;
    in_use--;
    heap_free(link);
    socket_changed(socket, ANYTHING);
}

bool links_many(void) {
    return 2 * in_use > outside_slots.end - outside_slots.first;
}

s32 link_error(struct link *link) {
    struct socket_option block = {
        .slot = link->slot, .level = SOL_SOCKET, .name = SO_ERROR, .size = sizeof(u32)};
    hypercall_socket_option(&block);
    link->told &= ~(u32)POLLERR;
    return (s32)block.value[0];
}

/* How a connection that the program began has ended: it is there, or an error is. */
static void settle(struct socket *socket, struct link *link) {
    socket->error = link_error(link);
    socket->state = socket->error ? UNCONNECTED : CONNECTED;
}

/* An event says how the link stands now; one of a slot that was closed meanwhile never comes. */
void link_told(u32 slot, u32 told) {
    struct socket *socket = sockets ? sockets[slot - outside_slots.first] : NULL;
    if (!socket)
        return;
    struct link *link = link_of(socket);
    while (link->slot != slot)
        link = link->next;
    link->told = told & (POLLRDHUP | POLLHUP | POLLERR);
    link->readable = told & (POLLIN | POLLRDHUP | POLLHUP | POLLERR);
    link->uncertain = link->fresh = false;
    link->writable = told & (POLLOUT | POLLHUP | POLLERR) || (link->roomy && link->writable);
    if (socket->state == CONNECTING && link->writable)
        settle(socket, link);
    if (link->unsent && link->writable && !batch_told(socket, link))
        return;
    socket_changed(socket, told);
}

static void tell(const struct epoll_event *event, u64 index, bool taken) {
    u32 descriptor = (u32)event->data;
    struct socket *socket = NULL;
    if (descriptor >= outside_slots.first) {
        link_told(descriptor, event->events);
        socket = sockets ? sockets[descriptor - outside_slots.first] : NULL;
    }
    if (socket && taken)
        held_take(socket, link_of(socket), index);
    if (descriptor >= outside_slots.first)
        return;
    if (descriptor >= outside_slots.listeners)
        published_told(descriptor - outside_slots.listeners);
}

/* A connection is the host's, which has ended it with the process that had it: the program is told
 * as by a peer that has gone.  A socket of UDP gets another one when it sends. */
static void lose(struct socket *socket) {
    bool left = false;
    while (link_of(socket)) {
        struct link *link = link_of(socket);
        left |= link->left, in_use--;
        socket->outside = link->next;
        heap_free(link->unsent);
        heap_free(link);
    }
    if (is_stream(socket)) {
        socket->transport = &tcp;
        tcp_reset(socket);
    } else {
        socket_changed(socket, ANYTHING);
    }
    if (left)
        socket_put(socket);
}

void links_renew(void) {
    u32 slots = outside_slots.end - outside_slots.first;
    batch_renew();
    held_renew();
    for (u32 i = 0; sockets && i < slots; i++) {
        struct socket *socket = sockets[i];
        sockets[i] = NULL;
        if (socket && link_of(socket))
            lose(socket);
    }
    published_renew();
}

/* One from outside was sent, and is taken by the wait that takes signals. */
static bool is_signal(const struct epoll_event *event) {
    return event->data < outside_slots.listeners;
}

/* How long until the deadline: nanoseconds, or FOREVER. */
static s64 left(const struct wait *block) {
    return block->deadline > 0 ? MAX(block->deadline - (s64)block->monotonic, 0) : block->deadline;
}

/* Where an exit is dear, what is gathered goes with it, and what has come is taken. */
static void wait_in_host(struct socket_batch *block) {
    if (boot_info.backend == BACKEND_KVM) {
        batch_fill(block);
        held_rooms(block);
        published_ask(block);
        hypercall_socket_batch(block);
        batch_done();
        return;
    }
    struct socket_wait plain = {
        .timeout = block->timeout, .want = block->want, .events = block->events};
    hypercall_socket_wait(&plain);
    block->ready = plain.ready, block->result = plain.result;
}

/* Whether a signal was among what has happened. */
static bool ask(struct socket_batch *block) {
    bool signal = false;
    block->events = (u64)events;
    u64 before = clock_waits();
    wait_in_host(block);
    asked = clock_waited(before);
    for (long i = 0; i < block->result; i++) {
        signal |= is_signal(&events[i]);
        tell(&events[i], (u64)i, block->rooms);
    }
    published_took(block);
    return signal;
}

void links_wait(s64 time) {
    struct socket_batch block = {.timeout = time};
    ask(&block);
}

static bool ask_again(u64 age) {
    if (clock_monotonic() - asked < age)
        return false;
    links_wait(0);
    return true;
}

bool links_glance(void) {
    return ask_again(1000000);
}

/* The host is not asked for the time: who slept until the deadline knows that it has passed. */
static void wait(struct wait *block) {
    batch_waits();
    bool sockets_count = block->want & WANT_SOCKETS || (links_made && told_by_signals);
    if (!sockets_count || boot_info.backend != BACKEND_KVM)
        batch_flush();
    if (!sockets_count && !batch_owed()) {
        host_time.wait(block);
        return;
    }
    struct socket_batch sockets_too = {.timeout = left(block), .want = block->want & 1};
    bool signal = ask(&sockets_too);
    if (signal && block->deadline) {
        block->want &= ~WANT_SOCKETS;
        host_time.wait(block);
        return;
    }
    block->ready = sockets_too.ready;
    block->monotonic = asked;
    if (!sockets_too.result && !sockets_too.ready && block->deadline > 0)
        block->monotonic = MAX(block->monotonic, (u64)block->deadline);
}

static u64 coarse(void) {
    return host_time.coarse();
}

const struct host_time outside_time = {wait, clock_monotonic, clock_realtime, coarse, ask_again};
