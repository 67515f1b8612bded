#include "parts/outside/batch.h"
#include "core/core.h"
#include "core/park.h"

#define ROOM (4 * PAGE - 64) /* with the heap's own head: whole pages */
#define NOT_TRIED (-(1L << 62))
#define LATE 1000000UL                /* nanoseconds that a send may wait for others */
#define PROMPT 8                      /* waits in a row that came soon enough */
#define END_MOST (60UL * NANOSECONDS) /* that the end waits for the host to have room */

/* What one connection sends, until the program waits. */
struct gathered {
    struct socket *socket;
    u64 size;
    bool more; /* the program said that more comes */
    bool last; /* it has closed the socket */
    u8 *bytes; /* ROOM of them, kept for the next one */
};

/* What the host had no room for. */
struct unsent {
    u64 size, done;
    bool more;
    u8 bytes[];
};

static struct gathered all[SOCKET_SENDS_MOST];
static struct socket_send sends[SOCKET_SENDS_MOST] LARGE;
static u64 count, owed;    /* of those; connections with something unsent */
static u64 oldest, latest; /* when sent: the first that is gathered, and the last of all */
static u32
    prompt; /* waits in a row that came soon after the last send; at once where it computed */

/* Where an exit is dear, and the program has shown that it waits soon after it has sent: what it
 * sends is not to lie here while it computes. */
static bool gathers(void) {
    return boot_info.backend == BACKEND_KVM && prompt >= PROMPT;
}

/* Something else has come behind the last send: another one, or a wait. */
static void note(bool waits) {
    u64 now = clock_monotonic();
    if (latest && now - latest > LATE)
        prompt = 0;
    else if (latest && waits)
        prompt = MIN(prompt + 1, PROMPT);
    latest = waits ? 0 : now;
}

void batch_waits(void) {
    if (latest)
        note(true);
}

bool batch_owed(void) {
    return owed;
}

static void fail(struct socket *socket, s64 error) {
    socket->error = (s32)-error;
    socket_changed(socket, ANYTHING);
}

static void keep(struct socket *socket, const u8 *bytes, u64 size, bool more) {
    struct link *link = link_of(socket);
    struct unsent *made = heap_alloc(sizeof *made + size);
    link->writable = link->roomy = false;
    if (!made) {
        fail(socket, -ENOBUFS);
        return;
    }
    memcpy(made->bytes, bytes, size);
    made->size = size, made->more = more;
    link->unsent = made;
    owed++;
}

/* What became of the send of one of them: `result` of its bytes, or an error. */
static void settle(const struct gathered *each, s64 result) {
    struct link *link = link_of(each->socket);
    u64 done = result < 0 ? 0 : (u64)result;
    link->gathered = NULL;
    link->owes = each->more;
    if (result < 0 && result != -EAGAIN)
        fail(each->socket, result);
    else if (done < each->size)
        keep(each->socket, each->bytes + done, each->size - done, each->more);
    if (each->last && !link->unsent) {
        link->over = done == each->size;
        link_close(each->socket);
        socket_put(each->socket);
    }
}

static u32 flags_of(const struct gathered *each) {
    return (each->more ? SOCKET_SEND_MORE : SOCKET_SEND) | (each->last ? SOCKET_THEN_CLOSE : 0) |
           link_tells(link_of(each->socket));
}

void batch_fill(struct socket_batch *block) {
    for (u64 i = 0; i < count; i++)
        sends[i] = (struct socket_send){.slot = link_of(all[i].socket)->slot,
                                        .flags = flags_of(&all[i]),
                                        .address = (u64)all[i].bytes,
                                        .length = all[i].size,
                                        .result = NOT_TRIED};
    block->sends = (u64)sends, block->send_count = count;
}

/* Those that the host has looked at; the others stay, and no two have the same room. */
void batch_done(void) {
    u64 tried = 0;
    while (tried < count && sends[tried].result != NOT_TRIED) {
        settle(&all[tried], sends[tried].result);
        tried++;
    }
    if (count && !tried)
        settle(&all[tried++], -EIO);
    for (u64 i = 0; i + tried < count; i++) {
        struct gathered empty = all[i];
        all[i] = all[i + tried], all[i + tried] = empty;
        link_of(all[i].socket)->gathered = &all[i];
    }
    count -= tried;
}

static void send_together(void) {
    struct socket_batch block = {.timeout = 0};
    batch_fill(&block);
    hypercall_socket_batch(&block);
    batch_done();
}

static void send_one_by_one(void) {
    struct socket_batch filled;
    batch_fill(&filled);
    for (u64 i = 0; i < count; i++) {
        hypercall_socket_send(&sends[i]);
        if (sends[i].result != (s64)sends[i].length)
            break;
    }
    batch_done();
}

void batch_flush(void) {
    while (count) {
        if (boot_info.backend == BACKEND_KVM)
            send_together();
        else
            send_one_by_one();
    }
}

/* A program that ends has sent what it was told that it has: the host is given a minute. */
static void end(void) {
    u64 until = clock_monotonic() + END_MOST;
    before_end = NULL;
    batch_flush();
    while (owed && clock_monotonic() < until)
        links_wait(NANOSECONDS);
}

static struct gathered *gathered_of(struct socket *socket) {
    struct link *link = link_of(socket);
    if (link->gathered)
        return link->gathered;
    if (count == SOCKET_SENDS_MOST)
        batch_flush();
    struct gathered *next = &all[count];
    if (!next->bytes)
        next->bytes = heap_alloc(ROOM);
    if (!next->bytes)
        return NULL;
    before_end = end;
    oldest = count ? oldest : latest;
    next->socket = socket, next->size = 0, next->last = false;
    link->gathered = next;
    count++;
    return next;
}

bool batch_takes(struct socket *socket, struct message *message) {
    struct link *link = link_of(socket);
    u64 size = message->size - message->done;
    bool more = link->corked || message->flags & MSG_MORE, later = more || gathers();
    u64 there = link->gathered ? link->gathered->size : 0;
    if (later || boot_info.backend == BACKEND_KVM)
        note(false);
    if (!(later || there) || size > ROOM - there || link->unsent || !link->writable)
        return false;
    struct gathered *to = gathered_of(socket);
    if (!to)
        return false;
    message_get(message, to->bytes + to->size, size);
    to->size += size, to->more = more;
    if (!later || latest - oldest > LATE)
        batch_flush();
    return true;
}

/* Without TCP_CORK in the host: what is sent meanwhile is sent with MSG_MORE. */
void batch_cork(struct socket *socket, bool on) {
    struct link *link = link_of(socket);
    link->corked = on;
    if (on)
        return;
    if (link->unsent)
        link->unsent->more = false;
    if (link->gathered) {
        link->gathered->more = false;
        if (!gathers())
            batch_flush();
    } else if (link->owes && !link->unsent) {
        link->owes = false;
        link_set_option(link, SOL_TCP, TCP_CORK, 0); /* what waits for more goes */
    }
}

void batch_forget(struct link *link) {
    batch_flush_of(link);
    held_drop(link);
    if (link->unsent)
        owed--;
    heap_free(link->unsent);
    link->unsent = NULL;
}

void batch_renew(void) {
    for (u64 i = 0; i < count; i++)
        link_of(all[i].socket)->gathered = NULL;
    count = owed = 0;
    before_end = NULL;
}

/* All is sent, or nothing can be any more. */
static bool finish(struct socket *socket, struct link *link) {
    struct socket_close block = {.slot = link->slot, .how = link->shut_next - 1U};
    link->owes = link->unsent->more;
    owed--;
    heap_free(link->unsent);
    link->unsent = NULL;
    if (link->left) {
        link_close(socket);
        socket_put(socket);
        return false;
    }
    if (link->shut_next)
        hypercall_socket_close(&block);
    return true;
}

bool batch_told(struct socket *socket, struct link *link) {
    struct unsent *unsent = link->unsent;
    while (unsent->done < unsent->size) {
        struct socket_send block = {.slot = link->slot,
                                    .flags = (unsent->more ? SOCKET_SEND_MORE : SOCKET_SEND) |
                                             link_tells(link),
                                    .address = (u64)unsent->bytes + unsent->done,
                                    .length = unsent->size - unsent->done};
        hypercall_socket_send(&block);
        link_was_sent(link, &block);
        link->writable = block.result >= 0;
        if (block.result == -EAGAIN)
            return true;
        if (block.result < 0) {
            fail(socket, block.result);
            break;
        }
        unsent->done += (u64)block.result;
    }
    return finish(socket, link);
}

/* What the program sent last goes with the wait, and then it is closed. */
static bool closes_with_it(const struct socket *socket, struct link *link) {
    if (!link->gathered || !gathers() || socket->linger >= 0 || socket->error || link->held[0].at ||
        links_many())
        return false;
    note(false);
    link->gathered->last = latest - oldest <= LATE;
    return link->gathered->last;
}

bool batch_leaves(struct socket *socket) {
    struct link *link = link_of(socket);
    if (closes_with_it(socket, link)) {
        link->left = true;
        socket->references++;
        return true;
    }
    batch_flush_of(link);
    if (link->held[0]
            .at) /* bytes that nobody has read: the other side is told so, as by the kernel */
        link_set_linger(link, 0);
    if (!link->unsent || link->held[0].at || !socket->linger || socket->error)
        return false;
    link->left = true;
    socket->references++;
    return true;
}
