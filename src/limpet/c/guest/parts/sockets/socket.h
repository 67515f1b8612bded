/*
 * Sockets: what all of them have, and what one kind of them is.
 *
 * A `struct socket` is the object of an open file.  The system calls (calls.c, messages.c,
 * options.c) look at arguments and wait; what a socket does is in its `struct transport`, a table
 * of operations that never wait.  Where one cannot go on it gives -EAGAIN, and the caller parks
 * until the socket's file has changed.  So everything that waits is in socket_wait.
 *
 * Each of unix_stream, unix_datagram, tcp and udp serves a kind of socket inside the guest, without
 * the host.  A second transport, for what leaves the guest, plugs in like this:
 *
 *  - `outside_network` names it; generated, NULL in a plan without a network, so that nothing of
 *    it is linked.  Only the transports of the Internet look at it.
 *  - listen: a TCP socket that starts to listen is offered to `outside_network->listen`, a UDP
 *    socket that gets its port to `->bound`.  What they give stands in `socket->published` (0: the
 *    port is not given) and is for its own use.  The socket goes on to serve inside the guest;
 *    accept looks inside first and then asks `->accept`, and `->ready` and `->awaited` join what
 *    poll and park look at.  close tells `->unpublish`.
 *  - UDP: what comes from outside is put into the socket's queue (udp_put), by `->receive` and
 *    `->ready`; what is sent to where `->leads` says so is `->send`'s.
 *  - connect: to an address that is not the guest's own, or that `->leads` names whatever it is,
 *    `->connect` takes the socket over: it sets `socket->transport` to its own table and
 *    `socket->outside` to what it likes.
 *  - a socket that it accepts is made by socket_new with that table.  From then on every operation
 *    is the table's.
 *
 * Readiness: what becomes ready tells file_changed(socket->file), inside and outside.  Of a socket
 * that the host makes ready `awaited` gives WANT_SOCKETS, and poll, select, epoll and park pass it
 * on: where it is wanted, a wait in the host is one for all of them.
 */
#ifndef LIMPET_SOCKET_H
#define LIMPET_SOCKET_H

#include "core/park.h"
#include "parts/system/identity.h"
#include "parts/fd/fd.h"
#include "parts/sockets/abi.h"
#include "parts/sockets/outside.h"

struct socket;
struct packet;

/* Descriptors on their way. */
struct rights {
    struct rights *next; /* that is to be dropped */
    u32 count;
    struct file *files[];
};

/* An Internet address with its port, in the host's order; version 4 as ::ffff:a.b.c.d. */
struct endpoint {
    u8 host[16];
    u32 scope;
    u16 port;
};

/* Of a datagram, beside who sent it. */
struct header {
    u8 host[16];     /* a receive: where it went; a send: whence, if not from any */
    s32 hops, class; /* negative: what the socket's options say */
};

/* One send or receive while it is under way. */
struct message {
    const struct linux_iovec *vector; /* the program's: it may change meanwhile */
    u64 count, size, done;            /* elements; bytes in all of them; bytes moved */
    u64 result;              /* of a receive, where it is not `done`: a packet's whole size */
    u32 flags;               /* MSG_* of the call */
    u32 told;                /* MSG_* for msg_flags */
    struct address *address; /* where to, or NULL; of a receive: from whom, to be filled */
    struct rights *rights;
    struct credentials by; /* who sends it */
    bool whom;             /* a receive: it is told with the message; a send: it says so itself */
    struct header header;
};

/* What a kind of socket does.  Nothing here waits: -EAGAIN.  A missing one gives the error beside
 * it. */
struct transport {
    void (*open)(struct socket *socket);                                /* a new one */
    long (*bind)(struct socket *socket, const struct address *address); /* EOPNOTSUPP */
    long (*listen)(struct socket *socket, u32 backlog);                 /* EOPNOTSUPP */
    long (*accept)(struct socket *socket, struct socket **made);        /* EOPNOTSUPP */
    /* 0; -EAGAIN: try again when something has changed.  -EINPROGRESS: begun, and called again it
     * tells how it stands: -EALREADY, 0, or why it failed. */
    long (*connect)(struct socket *socket, const struct address *address);
    long (*pair)(struct socket *socket, struct socket *other); /* EOPNOTSUPP */
    /* As much of a message as can go now, `done` more of it.  0: it is done; -EAGAIN: the rest
     * has to wait. */
    long (*send)(struct socket *socket, struct message *message);
    long (*receive)(struct socket *socket, struct message *message);
    /* The same for one piece without flags, where nothing stands in the way: no message is made.
     * How much was given, the rest goes as a message; what was taken, -EAGAIN: it comes as one. */
    long (*give)(struct socket *socket, u64 from, u64 size); /* 0 */
    long (*take)(struct socket *socket, u64 to, u64 size);   /* EAGAIN */
    long (*shutdown)(struct socket *socket, u32 how);        /* SHUT_RECEIVE | SHUT_SEND */
    long (*name)(struct socket *socket, bool of_peer, struct address *to);
    /* Options but SOL_SOCKET's: `value` has *size bytes; get: room for *size. */
    long (*set)(struct socket *socket, s32 level, s32 name, const void *value, u32 size);
    long (*get)(struct socket *socket, s32 level, s32 name, void *value, u32 *size);
    void (*kept)(struct socket *socket, s32 name, const void *value, u32 size); /* of SOL_SOCKET */
    void (*failed)(struct socket *socket);       /* SO_ERROR is asked for */
    bool (*gone)(struct socket *socket);         /* its peer, for getpeername; NULL: as its state */
    long (*unread)(struct socket *socket);       /* FIONREAD */
    u32 (*ready)(struct socket *socket);         /* POLL* */
    u64 (*awaited)(const struct socket *socket); /* bits of hypercall_wait; NULL: none */
    void (*close)(struct socket *socket);        /* the last descriptor is gone */
};

/* For what leaves the guest; see above. */
struct network {
    u64 (*listen)(struct socket *socket); /* 0: that port is not given */
    u64 (*bound)(struct socket *socket);
    void (*unpublish)(struct socket *socket);
    long (*accept)(struct socket *socket, struct socket **made);
    long (*receive)(struct socket *socket); /* UDP: 0 when a packet is in its queue now */
    long (*send)(struct socket *socket, struct message *message, const struct endpoint *to);
    void (*near)(const struct socket *socket, const struct endpoint *from); /* UDP: from inside */
    bool (*leads)(const struct socket *socket, const struct endpoint *to);
    long (*connect)(struct socket *socket, const struct endpoint *to);
    u32 (*ready)(struct socket *socket);
    u64 (*awaited)(const struct socket *socket);
};

enum { SHUT_RECEIVE = 1, SHUT_SEND = 2, SHUT_BOTH = 3 };

/* ENDED: it was connected, and both directions are over, or it was reset (TCP). */
enum socket_state { UNCONNECTED, LISTENING, CONNECTING, CONNECTED, ENDED };

/* Packets in the order they came. */
struct queue {
    struct packet *first, *last;
    u32 count;
    u64 bytes;
};

struct socket {
    struct file *file; /* NULL: nobody has accepted it yet, or it is closed */
    const struct transport *transport;
    void *outside; /* outside_network's, as is `published` */
    u32 references;
    u16 family, protocol;
    u8 type, shut;        /* SOCK_*, SHUT_* */
    bool dead;            /* closed; others still refer to it */
    bool done;            /* TCP: the other side has sent all that it will */
    bool finished;        /* TCP: and this one */
    bool bound, has_port; /* the program chose the host (AF_UNIX: the name), and the port */
    enum socket_state state;
    s32 error; /* that SO_ERROR tells */

    struct socket *peer;      /* referenced */
    struct socket *waits_for; /* whose queue was full */
    struct queue in;          /* what was received */
    u32 charged;              /* bytes of its own packets that nobody has received */

    struct socket *pending, *next_pending; /* connections that nobody has accepted; in that list */
    struct socket *waiting;                /* those that wait for room there */
    u32 pending_count, backlog;

    u32 options; /* bit SO_* of those that are on or off */
    u32 send_size, receive_size, low_water, priority, mark;
    s64 send_timeout, receive_timeout; /* nanoseconds, FOREVER */
    s32 linger;                        /* seconds; -1: off */
    s32 stamps; /* SO_TIMESTAMP or SO_TIMESTAMPNS: messages come with their time; else 0 */
    struct credentials by; /* of the peer */

    struct socket *next, **link; /* names.c: of all; ports.c: of those with the same port */
    struct unix_name *own_name;  /* AF_UNIX */
    struct node *node;           /* that has its path */
    struct endpoint own, remote; /* AF_INET and AF_INET6 */
    struct internet *internet;   /* options of theirs */
    u64 published;
};

extern const struct file_ops socket_ops;
extern const struct transport unix_stream, unix_datagram, unix_sequenced;

/* Into a list and out of it, however long it is. */
static inline void socket_list(struct socket *socket, struct socket **list) {
    socket->next = *list;
    socket->link = list;
    if (socket->next)
        socket->next->link = &socket->next;
    *list = socket;
}

static inline void socket_unlist(struct socket *socket) {
    if (!socket->link)
        return;
    *socket->link = socket->next;
    if (socket->next)
        socket->next->link = socket->link;
    socket->next = NULL;
    socket->link = NULL;
}

/* socket.c */
struct socket *socket_new(const struct transport *transport, u16 family, u8 type, u16 protocol);
void socket_put(struct socket *socket); /* NULL is fine */
void socket_close(struct socket *socket);
long socket_install(struct socket *socket, long flags); /* a descriptor; the socket goes if none */
struct socket *socket_of(struct file *file, long *error); /* NULL: EBADF, ENOTSOCK */
void socket_changed(struct socket *socket, u32 events);
void socket_enqueue(struct socket *listener, struct socket *made); /* for who accepts */
long socket_error(struct socket *socket); /* tells it once: 0 or negative */

/* Until it has changed; -EAGAIN where it must not wait, or has waited long enough. */
struct patience {
    s64 deadline;
    bool never;
    const char *what; /* for a deadlock */
};
struct patience socket_patience(const struct socket *socket, s64 timeout, u32 flags,
                                const char *what);
long socket_wait(struct socket *socket, const struct patience *patience);

/* For room in another's queue. */
static inline void socket_waits_no_more(struct socket *socket) {
    socket_put(socket->waits_for);
    socket->waits_for = NULL;
}

/* transfer.c */
long socket_send(struct socket *socket, struct message *message);
long socket_receive(struct socket *socket, struct message *message);
long message_of(const struct linux_iovec *vector, u64 count, u32 flags, struct message *to);
void message_touch(const struct message *message);           /* before it is sent */
void message_get(struct message *message, u8 *to, u64 size); /* what follows `done`, which moves */
void message_put(struct message *message, const u8 *from, u64 size);

/* calls.c */
long address_from(long from, long length, struct address *to);
long address_to(const struct address *address, long to, long length);

static inline u64 socket_give(struct socket *socket, u64 from, u64 size) {
    return socket->transport->give ? (u64)socket->transport->give(socket, from, size) : 0;
}

static inline long socket_take(struct socket *socket, u64 to, u64 size) {
    return socket->transport->take ? socket->transport->take(socket, to, size) : -EAGAIN;
}

static inline bool option(const struct socket *socket, u32 name) {
    return socket->options >> name & 1;
}

static inline bool is_stream(const struct socket *socket) {
    return socket->type == SOCK_STREAM;
}

static inline struct credentials own_credentials(void) {
    return (struct credentials){1, identity.users[EFFECTIVE], identity.groups[EFFECTIVE]};
}

#endif
