/* What goes along with the bytes of a message: descriptors and credentials. */
#ifndef LIMPET_ANCILLARY_H
#define LIMPET_ANCILLARY_H

#include "parts/sockets/packets.h"

long ancillary_take(struct socket *socket, const struct linux_message *from,
                    struct message *message);
void ancillary_touch(const struct linux_message *to); /* a bad place for it is a fault now */

/* Into the program's place for it; what finds no room is dropped and told.  How much was used. */
u64 ancillary_give(struct socket *socket, const struct linux_message *to, struct message *message);

#endif
