/* Addresses as the host's kernel takes them. */
#include "broker/broker.h"

struct broker_place {
    u16 family, port; /* the port, and what follows, in the network's order */
    union {
        u8 v4[12];
        struct {
            u32 flow;
            u8 host[16];
            u32 scope;
        } v6;
    };
};
_Static_assert(sizeof(struct broker_place) == 28, "struct sockaddr_in6");

enum { BROKER_UNIX = 1, BROKER_INET6 = 10, BROKER_PACKETS = 5, BROKER_EINPROGRESS = 115 };
enum { BROKER_STREAM = 1, BROKER_DATAGRAM = 2, BROKER_FLAGS = O_NONBLOCK | O_CLOEXEC };

static u64 place_of(const struct broker_address *address, u16 port, struct broker_place *place) {
    bool v4 = is_v4(address);
    *place = (struct broker_place){0};
    place->family = v4 ? AF_INET : BROKER_INET6;
    place->port = (u16)(port << 8 | port >> 8);
    memcpy(v4 ? place->v4 : place->v6.host, address->bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
    return v4 ? 16 : sizeof *place;
}

/* A socket to there, and in `state` how far it is; negative: none. */
static long open_to(const struct broker_address *address, u16 port, long kind, long *state) {
    struct broker_place place;
    u64 size = place_of(address, port, &place);
    long fd = host3(NR_SOCKET, place.family, kind | BROKER_FLAGS, 0);
    if (fd < 0)
        return fd;
    *state = host3(NR_CONNECT, fd, (long)&place, (long)size);
    if (!*state || *state == -BROKER_EINPROGRESS)
        return fd;
    host3(NR_CLOSE, fd, 0, 0);
    return *state;
}

/* Whether the host itself has it: what is sent there comes from there.  The kernel is asked, since
 * a host gets and loses addresses while the guest runs. */
static bool is_hosts_own(const struct broker_address *address) {
    struct broker_place place, own = {0};
    u32 size = sizeof own;
    long state;
    u64 length = place_of(address, 9, &place);
    long fd = open_to(address, 9, BROKER_DATAGRAM, &state);
    if (fd < 0)
        return false; /* nothing can be connected there */
    long told = host3(NR_GETSOCKNAME, fd, (long)&own, (long)&size);
    host3(NR_CLOSE, fd, 0, 0);
    own.port = place.port;
    return told < 0 || same_bytes(&own, &place, length);
}
