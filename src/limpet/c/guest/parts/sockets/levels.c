/* Options of the protocols.  Most are numbers that are kept and told: on a loopback without loss
 * they change nothing that a program can see. */
#include "parts/sockets/internet.h"

enum { TCP_INFO = 11, TCP_CONGESTION = 13, IPV6_V6ONLY = 26, UNICAST_HOPS = 16 };
enum { STREAMS = 1, DATAGRAMS = 2, BOTH_KINDS = 3 };

struct known {
    u8 level, name, kinds;
    s32 initial, least, most;
};

#define SWITCH(level, name, kinds) {level, name, kinds, 0, -0x7fffffff - 1, 0x7fffffff}

static const struct known known[] = {
    {SOL_IPV6, IPV6_V6ONLY, BOTH_KINDS, 0, 0, 1},
    {SOL_TCP, 1, STREAMS, 0, 0, 1},           /* TCP_NODELAY */
    {SOL_TCP, 2, STREAMS, 536, 0, 32767},     /* TCP_MAXSEG */
    {SOL_TCP, 3, STREAMS, 0, 0, 1},           /* TCP_CORK */
    {SOL_TCP, 4, STREAMS, 7200, 1, 32767},    /* TCP_KEEPIDLE */
    {SOL_TCP, 5, STREAMS, 75, 1, 32767},      /* TCP_KEEPINTVL */
    {SOL_TCP, 6, STREAMS, 9, 1, 127},         /* TCP_KEEPCNT */
    {SOL_TCP, 7, STREAMS, 6, 1, 127},         /* TCP_SYNCNT */
    SWITCH(SOL_TCP, 8, STREAMS),              /* TCP_LINGER2 */
    SWITCH(SOL_TCP, 9, STREAMS),              /* TCP_DEFER_ACCEPT */
    {SOL_TCP, 12, STREAMS, 1, 0, 1},          /* TCP_QUICKACK */
    {SOL_TCP, 18, STREAMS, 0, 0, 0x7fffffff}, /* TCP_USER_TIMEOUT */
    SWITCH(SOL_TCP, 23, STREAMS),             /* TCP_FASTOPEN */
    SWITCH(SOL_TCP, 25, STREAMS),             /* TCP_NOTSENT_LOWAT */
    SWITCH(SOL_UDP, 1, DATAGRAMS),            /* UDP_CORK */
    {SOL_IP, 1, BOTH_KINDS, 0, 0, 255},       /* IP_TOS */
    {SOL_IP, 2, BOTH_KINDS, 64, 1, 255},      /* IP_TTL */
    {SOL_IP, 8, DATAGRAMS, 0, 0, 1},          /* IP_PKTINFO */
    {SOL_IP, 10, BOTH_KINDS, 1, 0, 5},        /* IP_MTU_DISCOVER */
    {SOL_IP, 11, BOTH_KINDS, 0, 0, 1},        /* IP_RECVERR */
    {SOL_IP, 12, BOTH_KINDS, 0, 0, 1},        /* IP_RECVTTL */
    {SOL_IP, 13, BOTH_KINDS, 0, 0, 1},        /* IP_RECVTOS */
    {SOL_IP, 15, BOTH_KINDS, 0, 0, 1},        /* IP_FREEBIND */
    {SOL_IP, 24, BOTH_KINDS, 0, 0, 1},        /* IP_BIND_ADDRESS_NO_PORT */
    {SOL_IP, 33, DATAGRAMS, 1, -1, 255},      /* IP_MULTICAST_TTL */
    {SOL_IP, 34, DATAGRAMS, 1, 0, 1},         /* IP_MULTICAST_LOOP */
    {SOL_IPV6, UNICAST_HOPS, BOTH_KINDS, 64, -1, 255},
    {SOL_IPV6, 18, DATAGRAMS, 1, -1, 255},  /* IPV6_MULTICAST_HOPS */
    {SOL_IPV6, 19, DATAGRAMS, 1, 0, 1},     /* IPV6_MULTICAST_LOOP */
    {SOL_IPV6, 23, BOTH_KINDS, 1, 0, 5},    /* IPV6_MTU_DISCOVER */
    {SOL_IPV6, 25, BOTH_KINDS, 0, 0, 1},    /* IPV6_RECVERR */
    {SOL_IPV6, 49, BOTH_KINDS, 0, 0, 1},    /* IPV6_RECVPKTINFO */
    {SOL_IPV6, 51, BOTH_KINDS, 0, 0, 1},    /* IPV6_RECVHOPLIMIT */
    {SOL_IPV6, 66, BOTH_KINDS, 0, 0, 1},    /* IPV6_RECVTCLASS */
    {SOL_IPV6, 67, BOTH_KINDS, 0, -1, 255}, /* IPV6_TCLASS */
};

struct internet {
    s32 numbers[COUNT(known)];
};

static s32 number_at(const struct socket *socket, u64 at) {
    return socket->internet ? socket->internet->numbers[at] : known[at].initial;
}

bool only_version_6(const struct socket *socket) {
    return socket->family == AF_INET6 && number_at(socket, 0);
}

/* COUNT(known): it is not known to this kind of socket. */
static u64 find(const struct socket *socket, s32 level, s32 name) {
    u8 kind = is_stream(socket) ? STREAMS : DATAGRAMS;
    u64 at = 0;
    while (at < COUNT(known) && (known[at].level != level || known[at].name != name))
        at++;
    bool there = at < COUNT(known) && known[at].kinds & kind;
    return there && (level != SOL_IPV6 || socket->family == AF_INET6) ? at : COUNT(known);
}

s32 internet_number(const struct socket *socket, s32 level, s32 name) {
    return number_at(socket, find(socket, level, name));
}

static bool has_level(const struct socket *socket, s32 level) {
    return socket->family == AF_INET6 || level == SOL_IP ||
           level == (is_stream(socket) ? SOL_TCP : SOL_UDP);
}

static struct internet *own_numbers(struct socket *socket) {
    if (socket->internet)
        return socket->internet;
    socket->internet = heap_alloc(sizeof *socket->internet);
    for (u64 i = 0; socket->internet && i < COUNT(known); i++)
        socket->internet->numbers[i] = known[i].initial;
    return socket->internet;
}

void internet_inherit(const struct socket *from, struct socket *to) {
    if (from->internet && own_numbers(to))
        *to->internet = *from->internet;
}

void internet_forget(struct socket *socket) {
    heap_free(socket->internet);
    socket->internet = NULL;
}

void internet_changed(struct socket *socket,
                      void (*tell)(struct socket *socket, s32 level, s32 name, s32 value)) {
    for (u64 i = 0; socket->internet && i < COUNT(known); i++)
        if (socket->internet->numbers[i] != known[i].initial)
            tell(socket, known[i].level, known[i].name, socket->internet->numbers[i]);
}

static bool is_congestion(const struct socket *socket, s32 level, s32 name) {
    return level == SOL_TCP && name == TCP_CONGESTION && is_stream(socket);
}

static long set_congestion(const char *value, u32 size) {
    static const char own[] = "cubic";
    if (!size)
        return -EINVAL;
    return size >= sizeof own - 1 && !memcmp(value, own, sizeof own - 1) ? 0 : -ENOENT;
}

long internet_set(struct socket *socket, s32 level, s32 name, const void *value, u32 size) {
    u64 at = find(socket, level, name);
    if (is_congestion(socket, level, name))
        return set_congestion(value, size);
    if (at == COUNT(known))
        return -ENOPROTOOPT;
    const struct known *option = &known[at];
    if (size < sizeof(s32) && (level != SOL_IP || !size))
        return -EINVAL;
    s32 number = size < sizeof(s32) ? *(const u8 *)value : *(const s32 *)value;
    if (option->least == 0 && option->most == 1)
        number = !!number;
    if (number < option->least || number > option->most)
        return -EINVAL;
    if (!at && socket->own.port)
        return -EINVAL;
    if (!own_numbers(socket))
        return -ENOBUFS;
    bool again = number == -1 && option->least == -1; /* back to what it was */
    socket->internet->numbers[at] = again ? option->initial : number;
    return 0;
}

/* struct tcp_info, of which only the state is told. */
static long get_info(const struct socket *socket, u8 *to, u32 *size) {
    enum { ESTABLISHED = 1, SYN_SENT = 2, FIN_WAIT2 = 5, CLOSE = 7, CLOSE_WAIT = 8, LISTEN = 10 };
    static const u8 states[] = {[UNCONNECTED] = CLOSE,
                                [LISTENING] = LISTEN,
                                [CONNECTING] = SYN_SENT,
                                [CONNECTED] = ESTABLISHED,
                                [ENDED] = CLOSE};
    *to = states[socket->state];
    if (socket->state == CONNECTED && socket->done)
        *to = CLOSE_WAIT;
    else if (socket->state == CONNECTED && socket->finished)
        *to = FIN_WAIT2;
    *size = MIN(*size, 232U);
    return 0;
}

long internet_get(struct socket *socket, s32 level, s32 name, void *value, u32 *size) {
    static const char congestion[16] = "cubic";
    u64 at = find(socket, level, name);
    if (level == SOL_TCP && name == TCP_INFO && is_stream(socket))
        return get_info(socket, value, size);
    if (is_congestion(socket, level, name)) {
        *size = MIN(*size, sizeof congestion);
        memcpy(value, congestion, *size);
        return 0;
    }
    if (at == COUNT(known))
        return has_level(socket, level) ? -ENOPROTOOPT : -EOPNOTSUPP;
    *(s32 *)value = number_at(socket, at);
    *size = MIN(*size, sizeof(s32));
    return 0;
}
