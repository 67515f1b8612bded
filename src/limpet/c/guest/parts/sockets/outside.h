/* What reaches out of the guest (socket.h); generated: NULL where the plan has no network. */
#ifndef LIMPET_SOCKETS_OUTSIDE_H
#define LIMPET_SOCKETS_OUTSIDE_H

struct endpoint;
struct network;
struct socket;
extern const struct network *const outside_network;

/* -ENETUNREACH: said once, with the words that give it (parts/outside/refused.c). */
long outside_refused(const struct socket *socket, const struct endpoint *to);
/* `otherwise`, and it is said once that no connection is left. */
long outside_full(long otherwise);

/* Who is told of what the guest is refused; NULL in a plan in which nobody writes it down. */
struct outside_log {
    void (*connection)(const struct socket *socket, const struct endpoint *to);
    void (*family)(long family, long type);
};
extern const struct outside_log *const outside_log, outside_told;

#endif
