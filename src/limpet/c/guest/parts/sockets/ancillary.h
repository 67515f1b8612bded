/* What goes along with the bytes of a message: descriptors, credentials, and headers. */
#ifndef LIMPET_ANCILLARY_H
#define LIMPET_ANCILLARY_H

#include "parts/sockets/packets.h"

long ancillary_take(struct socket *socket, const struct linux_message *from,
                    struct message *message);

/* Where the next piece for the program goes. */
struct room {
    u64 at, left, used;
    u32 told; /* MSG_CTRUNC */
};
void ancillary_put(struct room *room, s32 level, s32 kind, const void *data, u64 size);
void ancillary_touch(const struct linux_message *to); /* a bad place for it is a fault now */

/* Into the program's place for it; what finds no room is dropped and told.  How much was used. */
u64 ancillary_give(struct socket *socket, const struct linux_message *to, struct message *message);

#endif
