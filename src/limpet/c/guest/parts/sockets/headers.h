/* What a datagram's header says, asked for and said in messages (headers.c). */
#ifndef LIMPET_HEADERS_H
#define LIMPET_HEADERS_H

#include "parts/sockets/ancillary.h"
#include "parts/sockets/internet.h"

/* From a program's message; negative: what Linux refuses. */
long headers_take(struct socket *socket, const struct linux_message *from, struct message *message);

/* If it says one. */
void header_source(const struct message *message, const struct endpoint *to, struct endpoint *from);

/* With what a message goes to an endpoint: what it says itself, or its socket's options. */
struct header header_sent(const struct socket *socket, const struct message *message,
                          const struct endpoint *to);

/* What the receiving socket asks for, in Linux's order. */
void headers_give(struct socket *socket, struct room *room, const struct header *header);

#endif
