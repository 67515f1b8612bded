/* What leads out of the guest, as the plan has it (gates.c). */
#ifndef LIMPET_OUTSIDE_PLAN_H
#define LIMPET_OUTSIDE_PLAN_H

#include "contract.h"

/* A port of the guest's that the host leads to, or an endpoint outside. */
struct way {
    u8 host[16]; /* version 4 as ::ffff:a.b.c.d */
    u16 port;
    bool udp;
    const void *chosen; /* where the start has put its address instead; NULL: nowhere */
};
extern const struct way ways_in[], ways_out[]; /* out: of TCP */
extern const u32 ways_in_count, ways_out_count;

/* Descriptors of the host's: published ports, and connections. */
struct slots {
    u32 listeners, first, end; /* of published ports: in the order of ways_in */
};
extern const struct slots outside_slots;

struct network;
struct socket;
struct standard;
struct endpoint;

/* Where names are looked up; NULL in other plans, so that nothing of it is linked. */
struct outside_broker {
    const struct standard *etc; /* its files of /etc */
};
extern const struct outside_broker *const outside_broker, outside_by_broker;

/* Makes connections of TCP, where the guest has to ask for all of them, or for some; else NULL. */
typedef long outside_connect(struct socket *socket, const struct endpoint *to);
extern outside_connect *const outside_asked, outside_ask;
extern const bool outside_direct; /* the guest makes those in ways_out itself */

/* Where datagrams may go: a network and a range of ports; the host of a name is not known. */
struct realm {
    u8 host[16];
    u8 prefix; /* bits of it that count */
    bool name;
    u16 low, high;
    const void *chosen; /* where the start has put its address instead */
};
extern const struct realm realms[];
extern const u32 realms_count;

/* The first has TCP alone; the other is there where UDP leads out too, or names are looked up. */
extern const struct network outside, outside_with_datagrams;
extern const struct host_time outside_time;

/* For snapshots: whether there was a connection, ever; and none is there any more in a start. */
extern bool links_made;
void links_renew(void);

#endif
