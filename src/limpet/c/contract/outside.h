/* Connections of the host's, as both sides of a guest know them. */
#ifndef LIMPET_OUTSIDE_H
#define LIMPET_OUTSIDE_H

#include "host.h"

enum { EPOLL_CTL_MOD = 3 };
enum { AF_INET6 = 10, SOCK_STREAM = 1, SIZE_OF_4 = 16 }; /* of struct sockaddr_in */
enum {
    HOST_ENOPROTOOPT = 92,
    HOST_EADDRINUSE = 98,
    HOST_EADDRNOTAVAIL = 99,
    HOST_EINPROGRESS = 115
};

struct epoll_event {
    u32 events;
    u64 data;
} __attribute__((packed));

/* EPOLLIN, EPOLLOUT, EPOLLRDHUP, and EPOLLET: each change of a connection is told once. */
#define WATCHED_EVENTS (0x1U | 0x4U | 0x2000U | 1U << 31)
#define EPOLL_IN 0x1U
#define EPOLL_OUT 0x4U
#define EPOLL_ENDS (0x8U | 0x10U) /* EPOLLERR, EPOLLHUP */

/* What an event of a stream has: its slot, and that it is one. */
#define STREAM_AT(slot) ((u64)(slot) | (u64)SOCKET_IS_STREAM << 32)

/* Where a connection goes, or a port is. */
struct outside_address {
    u8 address[SOCKET_ADDRESS_SIZE]; /* struct sockaddr_in or sockaddr_in6 */
    u8 size, version_6, udp;
    u8 inherited; /* of a port: the number that the starter gives its socket at, or by its name */
};

struct published {
    struct outside_address at;
    char text[PUBLISHED_TEXT_SIZE]; /* for messages */
};

#endif
