/* A datagram between a porter and its guest: whom it comes from or goes to, and behind that its
 * bytes.  Each takes every byte of the other's for hostile. */
#ifndef LIMPET_CARRIED_H
#define LIMPET_CARRIED_H

#include "contract.h"

struct carried {
    u8 address[SOCKET_ADDRESS_SIZE]; /* struct sockaddr_in, then zeros, or sockaddr_in6 */
    u8 pad[4];
    u8 bytes[DATAGRAM_MOST];
};

#define CARRIED_HEAD 32UL
_Static_assert(__builtin_offsetof(struct carried, bytes) == CARRIED_HEAD, "sent as one");

#endif
