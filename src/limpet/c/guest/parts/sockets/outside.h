/* What reaches out of the guest (socket.h); generated: NULL where the plan has no network. */
#ifndef LIMPET_SOCKETS_OUTSIDE_H
#define LIMPET_SOCKETS_OUTSIDE_H

struct endpoint;
struct network;
extern const struct network *const outside_network;

/* -ENETUNREACH: said once, with the words that give it (parts/outside/refused.c). */
long outside_refused(const struct endpoint *to);

#endif
