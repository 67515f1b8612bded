/*
 * What is done together: small pieces that are sent one after the other, and, in a virtual machine,
 * the sends of many connections with the next wait, and what has come with the event that tells it.
 *
 * A send that is gathered has happened, as far as the program knows: its bytes go before anything
 * else of that connection does.  What the host has no room for stays here until it has some, even
 * if the program closes the socket or ends; another error is told by the next call.
 */
#ifndef LIMPET_BATCH_H
#define LIMPET_BATCH_H

#include "parts/outside/links.h"

/* All of what is left of a message is gathered, or sent with what was. */
bool batch_takes(struct socket *socket, struct message *message);
void batch_flush(void); /* what is gathered is sent */
static inline void batch_flush_of(const struct link *link) {
    if (link->gathered)
        batch_flush();
}
void batch_fill(struct socket_batch *block); /* what is gathered goes with this wait */
void batch_done(void);                       /* what became of it */
void batch_waits(void);                      /* the program has nothing else to do */
bool batch_owed(void); /* something is still to be sent: who waits, waits for sockets too */
bool batch_told(struct socket *socket, struct link *link); /* it can be written; false: it ended */
void batch_cork(struct socket *socket, bool on);
bool batch_leaves(struct socket *socket); /* closed: its link ends when all is sent */
void batch_forget(struct link *link);     /* the link ends */
void batch_renew(void);                   /* all links are gone, with what was to be sent */

/* held.c: bytes that came with an event. */
void held_rooms(struct socket_batch *block); /* for those of the next ones, if there is room */
void held_take(struct socket *socket, struct link *link, u64 index);
void held_give(struct link *link, struct message *message);
void held_drop(struct link *link);
void held_renew(void); /* nobody has any */

#endif
