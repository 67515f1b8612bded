/* AF_NETLINK, as far as getifaddrs and if_nameindex ask: which interfaces there are. */
#ifndef LIMPET_NETLINK_H
#define LIMPET_NETLINK_H

#include "parts/sockets/socket.h"

enum { AF_NETLINK = 16 };

/* Which transport; negative: none.  Otherwise the protocol that SO_PROTOCOL tells. */
long netlink_choose(s32 type, s32 protocol, const struct transport **transport);

#endif
