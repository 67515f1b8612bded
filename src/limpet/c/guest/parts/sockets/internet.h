/* AF_INET and AF_INET6 inside the guest: its only addresses are those of its loopback. */
#ifndef LIMPET_INTERNET_H
#define LIMPET_INTERNET_H

#include "parts/sockets/socket.h"

extern const struct transport tcp, udp, udp_lite;

/* Whether it is UDP or UDP-Lite, which is the same with a checksum of a part. */
static inline bool is_datagrams(const struct transport *transport) {
    return transport == &udp || transport == &udp_lite;
}

/* Which transport; negative: none.  Otherwise the protocol that SO_PROTOCOL tells. */
long internet_choose(s32 type, s32 protocol, const struct transport **transport);

/* internet.c: addresses. */
enum reach { TO_ITSELF, TO_OUTSIDE, TO_NOBODY };
bool host_is_any(const struct endpoint *endpoint);
bool host_is_v4(const struct endpoint *endpoint);
bool same_host(const struct endpoint *a, const struct endpoint *b);
bool same_endpoint(const struct endpoint *a, const struct endpoint *b);
enum reach endpoint_reach(const struct endpoint *endpoint);
long endpoint_of(const struct socket *socket, const struct address *address, struct endpoint *to);
void endpoint_told(const struct socket *socket, const struct endpoint *endpoint,
                   struct address *to);
/* Where to: any host is the loopback.  0, or why nobody is there. */
long endpoint_to(const struct socket *socket, const struct address *address, struct endpoint *to);
void source_for(const struct endpoint *to,
                struct endpoint *source); /* its host, where it has none */
void any_host(const struct socket *socket, struct endpoint *to);

/* ports.c */
long internet_bind(struct socket *socket, const struct address *address);
long port_take_any(struct socket *socket); /* unless it has one */
void port_share(struct socket *socket);    /* the one that it was given already */
void port_leave(struct socket *socket);
bool port_listened(const struct socket *socket); /* by another one, so that this must not */
/* The socket that what is sent from one endpoint to the other reaches; NULL: none. */
struct socket *port_find(const struct transport *transport, const struct endpoint *from,
                         const struct endpoint *to);
void port_changed(const struct transport *transport, u16 port,
                  u32 events); /* of all that have it */

/* udp.c: what has come from outside; where there is no room it is lost */
void udp_put(struct socket *to, const struct endpoint *from, const void *bytes, u64 size);

/* levels.c: options of SOL_IP, SOL_IPV6, SOL_TCP, SOL_UDP and SOL_UDPLITE. */
long internet_set(struct socket *socket, s32 level, s32 name, const void *value, u32 size);
long internet_get(struct socket *socket, s32 level, s32 name, void *value, u32 *size);
s32 internet_number(const struct socket *socket, s32 level, s32 name); /* one that it has */
bool only_version_6(const struct socket *socket);
void internet_inherit(const struct socket *from, struct socket *to);
void internet_forget(struct socket *socket);
/* Each that was set, and is no longer what it was at first. */
void internet_changed(struct socket *socket,
                      void (*tell)(struct socket *socket, s32 level, s32 name, s32 value));

long internet_name(struct socket *socket, bool of_peer, struct address *to);

#endif
