/*
 * Links: connections of the host's that sockets of the guest have.
 *
 * A link has a slot, which is a descriptor of the host's.  The host tells each change of it once,
 * for all slots together, and here is kept what it told: as long as nothing says otherwise a link
 * can be written, and can be read when it was told so and not read to its end since.
 */
#ifndef LIMPET_LINKS_H
#define LIMPET_LINKS_H

#include "parts/outside/plan.h"
#include "parts/sockets/internet.h"
#include "parts/sockets/outside.h"

struct held {
    const u8 *at; /* NULL: nothing */
    u64 size;
};

struct link {
    struct link *next; /* another one of a datagram socket's */
    u32 slot;
    bool readable;  /* there are bytes, or the end of them */
    bool uncertain; /* or there were: a read took as much as it asked for */
    bool writable;
    bool fresh;   /* nothing was told yet, and may never be: a read need not wait for that */
    bool roomy;   /* taken by a wait: whether it can be written is told once it could not be */
    bool arrived; /* a connection of the program's is there, and it was told so */
    u32 told;     /* POLLRDHUP, POLLHUP, POLLERR as the host told last */

    /* batch.c, held.c */
    bool corked;               /* TCP_CORK: what is sent waits for more */
    bool owes;                 /* the host was told that more comes, and none came yet */
    bool ended;                /* the end of what comes was taken */
    bool left;                 /* its socket is closed, and what it sent is not all sent */
    bool over;                 /* and now it is, and the host has closed it */
    u8 shut_next;              /* SHUT_*: when all is sent */
    struct gathered *gathered; /* what is sent when the program waits */
    struct unsent *unsent;     /* what the host had no room for then */
    struct held held[2];       /* what came with events and was not read yet, in this order */
};

static inline struct link *link_of(const struct socket *socket) {
    return socket->outside;
}

/* With a send's flags: what can be written is told where it comes short. */
static inline u32 link_tells(const struct link *link) {
    return link->roomy ? SOCKET_THEN_TELL : 0;
}
static inline void link_was_sent(struct link *link, const struct socket_send *block) {
    link->roomy = link->roomy && block->result == (s64)block->length;
}

/* A socket for the connection at that slot; NULL: no memory, and the slot is free again. */
struct socket *link_new(u32 slot, u16 family, u16 protocol);
/* The slot becomes that socket's, in a link of so many bytes; NULL: no memory, and the slot is free
 * again. */
struct link *link_add(struct socket *socket, u32 slot, u64 size);
/* A connection of the program's is under way at that slot, which may be an error. */
long link_begin(struct socket *socket, s64 slot, const void *local, const struct endpoint *to);
s32 link_error(struct link *link);      /* the host's, which tells it once */
void link_close(struct socket *socket); /* the first of its links */
bool links_many(void); /* slots are scarce: whoever closes one may need it at once */
void link_keep(struct socket *socket, s32 level, s32 name,
               s32 value);                 /* an option, on the host too */
void link_keep_all(struct socket *socket); /* those set before there was a link */
long link_get(struct socket *socket, s32 level, s32 name, void *value, u32 *size);
void link_told(u32 slot, u32 events);
void links_wait(s64 time); /* for what happens in so many nanoseconds */
/* What a read of `asked` bytes says of the next one. */
void link_was_read(struct link *link, long got, u64 asked);
enum { TCP_CORK = 3 };
void link_set_linger(const struct link *link, s32 seconds); /* on the host; -1: not */
void link_set_option(const struct link *link, s32 level, s32 name, s32 value); /* on the host */
bool links_glance(void); /* who must not wait asks again and again: whether the host was asked */

/* published.c: the sockets that listen at published ports. */
void published_ask(struct socket_batch *block); /* a wait may take what comes to them */
void published_took(struct socket_batch *block);
void published_renew(void);    /* each is opened anew at a start */
extern bool published_maybe[]; /* what came there may be there still */
bool published_leads_to(const struct way *way, const struct socket *socket);
void published_told(u32 listener);
u64 published_listen(struct socket *socket);
void published_end(struct socket *socket);
long published_accept(struct socket *socket, struct socket **made);
u32 published_ready(struct socket *socket);
u64 published_awaited(const struct socket *socket);

/* An address as the host gives it: struct sockaddr_in or sockaddr_in6. */
struct endpoint endpoint_from_host(const void *address);
bool endpoint_is_chosen(const void *address, const struct endpoint *to); /* by the start, so */

/* endpoints.c */
bool endpoint_leads(const struct socket *socket, const struct endpoint *to);
long endpoint_connect(struct socket *socket, const struct endpoint *to);
long endpoint_again(struct socket *socket, const struct address *address); /* how it stands */

/* carriers.c: published ports of UDP */
u64 carriers_bound(struct socket *socket);
bool carriers_know(const struct socket *socket, const struct endpoint *peer);
void carriers_forget(const struct socket *socket, const struct endpoint *peer);
long carriers_send(const struct socket *socket, struct message *message, const struct endpoint *to);
void carriers_receive(struct socket *socket, bool told); /* until it has a packet */

extern const struct transport outside_stream;

#endif
