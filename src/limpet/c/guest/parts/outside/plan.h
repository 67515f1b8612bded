/* What leads out of the guest, as the plan has it (gates.c). */
#ifndef LIMPET_OUTSIDE_PLAN_H
#define LIMPET_OUTSIDE_PLAN_H

#include "contract.h"

/* A port of the guest's that the host leads to, or an endpoint outside. */
struct way {
    u8 host[16]; /* version 4 as ::ffff:a.b.c.d */
    u16 port;
    bool udp;
};
extern const struct way ways_in[], ways_out[];
extern const u32 ways_in_count, ways_out_count;

/* Descriptors of the host's: published ports, and connections. */
struct slots {
    u32 listeners, first, end;
};
extern const struct slots outside_slots;

struct network;
struct socket;
struct message;
struct standard;
struct endpoint;

/* Where names and networks are allowed; NULL in other plans, so that nothing of it is linked. */
struct outside_broker {
    long (*connect)(struct socket *socket, const struct endpoint *to);   /* TCP */
    long (*associate)(struct socket *socket, const struct endpoint *to); /* UDP */
    long (*send)(struct socket *socket, struct message *message);        /* UDP, not connected */
    const struct standard *etc;                                          /* its files of /etc */
};
extern const struct outside_broker *const outside_broker, outside_by_broker;

extern const struct network outside;
extern const struct host_time outside_time;

#endif
