/* Addresses: version 4 as it is mapped into version 6. */
#include "parts/sockets/internet.h"

enum { IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_UDPLITE = 136, IPPROTO_MOST = 263 };

static const u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
static const u8 no_host[16], own_host[16] = {[15] = 1};

long internet_choose(s32 type, s32 protocol, const struct transport **transport) {
    if (protocol < 0 || protocol >= IPPROTO_MOST)
        return -EINVAL;
    switch (type) {
    case SOCK_STREAM:
        *transport = &tcp;
        return protocol && protocol != IPPROTO_TCP ? -EPROTONOSUPPORT : IPPROTO_TCP;
    case SOCK_DGRAM:
        *transport = protocol == IPPROTO_UDPLITE ? &udp_lite : &udp;
        if (protocol && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE)
            return -EPROTONOSUPPORT;
        return protocol ? protocol : IPPROTO_UDP;
    case SOCK_RAW:
        return protocol ? -EPERM : -EPROTONOSUPPORT;
    default:
        return -ESOCKTNOSUPPORT;
    }
}

bool host_is_v4(const struct endpoint *endpoint) {
    return !memcmp(endpoint->host, mapped, sizeof mapped);
}

bool host_is_any(const struct endpoint *endpoint) {
    const u8 *host = endpoint->host;
    return !memcmp(host_is_v4(endpoint) ? host + 12 : host, no_host,
                   host_is_v4(endpoint) ? 4 : sizeof no_host);
}

bool same_host(const struct endpoint *a, const struct endpoint *b) {
    return !memcmp(a->host, b->host, sizeof a->host);
}

bool same_endpoint(const struct endpoint *a, const struct endpoint *b) {
    return a->port == b->port && same_host(a, b);
}

enum reach endpoint_reach(const struct endpoint *endpoint) {
    const u8 *host = endpoint->host;
    if (host_is_any(endpoint))
        return TO_ITSELF;
    if (host_is_v4(endpoint))
        return host[12] == 127 ? TO_ITSELF : host[12] >= 224 || !host[12] ? TO_NOBODY : TO_OUTSIDE;
    if (!memcmp(host, own_host, sizeof own_host))
        return TO_ITSELF;
    return host[0] == 0xff ? TO_NOBODY : TO_OUTSIDE;
}

static u16 swapped(u16 port) {
    return __builtin_bswap16(port);
}

long endpoint_of(const struct socket *socket, const struct address *address, struct endpoint *to) {
    bool six = socket->family == AF_INET6;
    if (address->length < (six ? 24U : 16U))
        return -EINVAL;
    if (address->family != socket->family)
        return -EAFNOSUPPORT;
    *to = (struct endpoint){.port = swapped(address->v4.port)};
    if (six) {
        memcpy(to->host, address->v6.host, sizeof to->host);
        to->scope = address->length >= 28 ? address->v6.scope : 0;
    } else {
        memcpy(to->host, mapped, sizeof mapped);
        memcpy(to->host + 12, address->v4.host, 4);
    }
    return 0;
}

void endpoint_told(const struct socket *socket, const struct endpoint *endpoint,
                   struct address *to) {
    if (socket->family == AF_INET6) {
        *to = (struct address){.length = 28, .family = AF_INET6};
        memcpy(to->v6.host, endpoint->host, sizeof to->v6.host);
    } else {
        *to = (struct address){.length = 16, .family = AF_INET};
        memcpy(to->v4.host, endpoint->host + 12, 4);
    }
    to->v4.port = swapped(endpoint->port);
}

void any_host(const struct socket *socket, struct endpoint *to) {
    memset(to->host, 0, sizeof to->host);
    if (socket->family == AF_INET)
        memcpy(to->host, mapped, sizeof mapped);
}

/* The loopback of the version that `like` has. */
static void loopback(const struct endpoint *like, struct endpoint *to) {
    static const u8 four[4] = {127, 0, 0, 1};
    if (!host_is_v4(like)) {
        memcpy(to->host, own_host, sizeof own_host);
        return;
    }
    memcpy(to->host, mapped, sizeof mapped);
    memcpy(to->host + 12, four, sizeof four);
}

void source_for(const struct endpoint *to, struct endpoint *source) {
    if (host_is_any(source))
        loopback(to, source);
}

long endpoint_to(const struct socket *socket, const struct address *address, struct endpoint *to) {
    long error = endpoint_of(socket, address, to);
    if (error)
        return error;
    if (host_is_v4(to) && socket->family == AF_INET6 && only_version_6(socket))
        return -ENETUNREACH;
    if (host_is_any(to))
        loopback(to, to);
    bool own_four = host_is_v4(&socket->own), bound = !host_is_any(&socket->own);
    if (bound && own_four != host_is_v4(to))
        return own_four ? -ENETUNREACH : -EINVAL;
    return endpoint_reach(to) == TO_NOBODY ? -ENETUNREACH : 0;
}

long internet_name(struct socket *socket, bool of_peer, struct address *to) {
    bool connected = socket->state == CONNECTED || (socket->state == CONNECTING && socket->peer);
    if (of_peer && !connected)
        return -ENOTCONN;
    endpoint_told(socket, of_peer ? &socket->remote : &socket->own, to);
    return 0;
}
