/* What is on its way from one socket to another. */
#ifndef LIMPET_PACKETS_H
#define LIMPET_PACKETS_H

#include "parts/sockets/socket.h"

struct packet {
    struct packet *next;
    struct socket *sender;  /* charged for it, and referenced; NULL: nobody */
    struct unix_name *from; /* referenced */
    struct rights *rights;
    struct credentials by;
    bool whom; /* `by` is known */
    u32 charge;
    u32 offset, size, room;   /* bytes that were read already, there are, there can be */
    struct endpoint endpoint; /* of the Internet's sender */
    struct header header;     /* of a datagram of the Internet */
    u8 bytes[];
};

struct packet *packet_new(u32 room);
void packet_free(struct packet *packet); /* what it carries is dropped, and its sender told */
void packet_add(struct socket *to, struct packet *packet);
struct packet *packet_take(struct socket *from); /* the first one, out of the queue */
void packets_drop(struct socket *socket);        /* all that it has */
void packet_charge(struct packet *packet, struct socket *sender, u32 charge);

static inline u32 packet_left(const struct packet *packet) {
    return packet->size - packet->offset;
}

struct rights *rights_copy(const struct rights *rights); /* NULL: there are none, or no memory */
void rights_drop(struct rights *rights);

#endif
