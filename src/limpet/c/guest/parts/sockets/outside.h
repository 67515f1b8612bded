/* What reaches out of the guest (socket.h); generated: NULL where the plan has no network. */
#ifndef LIMPET_OUTSIDE_H
#define LIMPET_OUTSIDE_H

struct network;
extern const struct network *const outside_network;

#endif
