/* Options of the protocols.  Most are numbers that are kept and told: on a loopback without loss
 * they change nothing that a program can see. */
#include "parts/sockets/internet.h"

enum { TCP_INFO = 11, TCP_CONGESTION = 13, IPV6_V6ONLY = 26, UNICAST_HOPS = 16 };
enum { TCP_MAXSEG = 2, TCP_LINGER2 = 8, TCP_DEFER_ACCEPT = 9, TCP_FASTOPEN = 23 };
enum { IP_TOS = 1, IP_TTL = 2, IP_FREEBIND = 15, LOOP = 34, LOOP_6 = 19, TCLASS = 67 };
enum { STREAMS = 1, DATAGRAMS = 2, BOTH_KINDS = 3 };

struct known {
    u8 level, name, kinds;
    s32 initial, least, most;
};

#define SWITCH(level, name, kinds) {level, name, kinds, 0, -0x7fffffff - 1, 0x7fffffff}

static const struct known known[] = {
    {SOL_IPV6, IPV6_V6ONLY, BOTH_KINDS, 0, 0, 1},
    {SOL_TCP, 1, STREAMS, 0, 0, 1}, /* TCP_NODELAY */
    {SOL_TCP, TCP_MAXSEG, STREAMS, 536, 88, 32767},
    {SOL_TCP, 3, STREAMS, 0, 0, 1},        /* TCP_CORK */
    {SOL_TCP, 4, STREAMS, 7200, 1, 32767}, /* TCP_KEEPIDLE */
    {SOL_TCP, 5, STREAMS, 75, 1, 32767},   /* TCP_KEEPINTVL */
    {SOL_TCP, 6, STREAMS, 9, 1, 127},      /* TCP_KEEPCNT */
    {SOL_TCP, 7, STREAMS, 6, 1, 127},      /* TCP_SYNCNT */
    {SOL_TCP, TCP_LINGER2, STREAMS, 60, -1, 120},
    {SOL_TCP, TCP_DEFER_ACCEPT, STREAMS, 0, 0, 0x7fffffff},
    {SOL_TCP, 12, STREAMS, 1, 0, 1},          /* TCP_QUICKACK */
    {SOL_TCP, 18, STREAMS, 0, 0, 0x7fffffff}, /* TCP_USER_TIMEOUT */
    {SOL_TCP, TCP_FASTOPEN, STREAMS, 0, 0, 4096},
    SWITCH(SOL_TCP, 25, STREAMS),     /* TCP_NOTSENT_LOWAT */
    {SOL_UDP, 1, DATAGRAMS, 0, 0, 1}, /* UDP_CORK */
    SWITCH(SOL_UDP, UDPLITE_SEND_CSCOV, DATAGRAMS),
    SWITCH(SOL_UDP, UDPLITE_RECV_CSCOV, DATAGRAMS),
    {SOL_IP, IP_TOS, BOTH_KINDS, 0, 0, 255},
    {SOL_IP, IP_TTL, BOTH_KINDS, 64, 1, 255},
    {SOL_IP, 8, DATAGRAMS, 0, 0, 1},   /* IP_PKTINFO */
    {SOL_IP, 10, BOTH_KINDS, 1, 0, 5}, /* IP_MTU_DISCOVER */
    {SOL_IP, 11, BOTH_KINDS, 0, 0, 1}, /* IP_RECVERR */
    {SOL_IP, 12, BOTH_KINDS, 0, 0, 1}, /* IP_RECVTTL */
    {SOL_IP, 13, BOTH_KINDS, 0, 0, 1}, /* IP_RECVTOS */
    {SOL_IP, IP_FREEBIND, BOTH_KINDS, 0, 0, 1},
    {SOL_IP, 24, BOTH_KINDS, 0, 0, 1},   /* IP_BIND_ADDRESS_NO_PORT */
    {SOL_IP, 33, DATAGRAMS, 1, -1, 255}, /* IP_MULTICAST_TTL */
    {SOL_IP, LOOP, DATAGRAMS, 1, 0, 1},  /* IP_MULTICAST_LOOP */
    {SOL_IPV6, UNICAST_HOPS, BOTH_KINDS, 64, -1, 255},
    {SOL_IPV6, 18, DATAGRAMS, 1, -1, 255}, /* IPV6_MULTICAST_HOPS */
    {SOL_IPV6, LOOP_6, DATAGRAMS, 1, 0, 1},
    {SOL_IPV6, 23, BOTH_KINDS, 1, 0, 5}, /* IPV6_MTU_DISCOVER */
    {SOL_IPV6, 25, BOTH_KINDS, 0, 0, 1}, /* IPV6_RECVERR */
    {SOL_IPV6, 49, BOTH_KINDS, 0, 0, 1}, /* IPV6_RECVPKTINFO */
    {SOL_IPV6, 51, BOTH_KINDS, 0, 0, 1}, /* IPV6_RECVHOPLIMIT */
    {SOL_IPV6, 66, BOTH_KINDS, 0, 0, 1}, /* IPV6_RECVTCLASS */
    {SOL_IPV6, TCLASS, BOTH_KINDS, 0, -1, 255},
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

/* UDP and UDP-Lite have one level with two names. */
static s32 level_known(s32 level) {
    return level == SOL_UDPLITE ? SOL_UDP : level;
}

static bool is_own_level(const struct socket *socket, s32 level) {
    return level == (is_stream(socket) ? SOL_TCP : SOL_UDP);
}

static bool has_level(const struct socket *socket, s32 level) {
    return socket->family == AF_INET6 || level == SOL_IP || is_own_level(socket, level);
}

static bool is_coverage(s32 level, s32 name) {
    return level == SOL_UDP && (name == UDPLITE_SEND_CSCOV || name == UDPLITE_RECV_CSCOV);
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

/* Seconds as Linux keeps them: so often is sent again, each time after twice as long. */
static s32 in_retries(s32 seconds) {
    s32 period = seconds > 0, step = 1;
    for (u32 tries = 1; seconds > period && tries < 255; tries++) {
        step = MIN(2 * step, 120);
        period += step;
    }
    return period;
}

/* What becomes of a number that is not kept as it is. */
static s32 adapted(const struct socket *socket, const struct known *option, s32 number) {
    s32 name = option->name, ip = option->level == SOL_IP, tcp = option->level == SOL_TCP;
    if (option->level == SOL_IPV6 && name == LOOP_6)
        return number;
    if (is_coverage(option->level, name) && number) /* the header is covered in any case */
        return MIN(MAX(number, 8), 0xffff);
    if (is_coverage(option->level, name))
        return name == UDPLITE_RECV_CSCOV ? UDPLITE_ALL : 0;
    if (option->least == 0 && option->most == 1)
        return !!number;
    if ((ip && name == IP_TOS) ||
        (option->level == SOL_IPV6 && name == TCLASS && number >= 0 && number <= 255))
        return number & (is_stream(socket) ? 0xfc : 0xff); /* congestion is TCP's own to tell */
    if ((ip && name == IP_TTL && number == -1) || (tcp && name == TCP_MAXSEG && !number) ||
        (tcp && name == TCP_LINGER2 && !number))
        return option->initial;
    if (tcp && name == TCP_LINGER2)
        return number < 0 ? -1 : MIN(number, option->most);
    if (tcp && name == TCP_DEFER_ACCEPT)
        return in_retries(number);
    return tcp && name == TCP_FASTOPEN ? MIN(number, option->most) : number;
}

/* Linux looks at the size and the pointer before it looks for the name, each level its own way. */
static long read_number(s32 level, s32 name, const void *value, u32 size, s32 *number) {
    bool of_ip = level == SOL_IP, whole = size >= sizeof(s32);
    if ((!whole && (level == SOL_TCP || level == SOL_UDP)) ||
        (!size && of_ip && (name == IP_TTL || name == IP_FREEBIND || name >= LOOP - 1)))
        return -EINVAL;
    if (!value && level == SOL_IPV6)
        return 0;
    if (whole)
        *number = *(const volatile s32 *)value;
    else if (of_ip && size)
        *number = *(const volatile u8 *)value;
    return 0;
}

long internet_set(struct socket *socket, s32 given, s32 name, const void *value, u32 size) {
    s32 number = 0, level = level_known(given);
    u64 at = find(socket, level, name);
    if (is_congestion(socket, level, name))
        return set_congestion(value, size);
    if (at == COUNT(known) && level != SOL_IPV6 && !is_own_level(socket, level))
        return -ENOPROTOOPT;
    long error = read_number(level, name, value, size, &number);
    if (error)
        return error;
    if (at == COUNT(known) || (is_coverage(level, name) && socket->transport != &udp_lite))
        return -ENOPROTOOPT;
    const struct known *option = &known[at];
    if (size < sizeof(s32) && level != SOL_IP)
        return -EINVAL;
    bool again = number == -1 && option->least == -1 && level != SOL_TCP; /* what it was */
    number = adapted(socket, option, number);
    if (number < option->least || number > option->most)
        return -EINVAL;
    if (!at && socket->own.port)
        return -EINVAL;
    if (!own_numbers(socket))
        return -ENOBUFS;
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

long internet_get(struct socket *socket, s32 given, s32 name, void *value, u32 *size) {
    static const char congestion[16] = "cubic";
    s32 level = level_known(given);
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
    s32 number = number_at(socket, at);
    if (is_coverage(level, name) && number == UDPLITE_ALL)
        number = 0;
    *(s32 *)value = number;
    bool one = level == SOL_IP && *size && *size < sizeof(s32) && number >= 0 && number <= 255;
    *size = one ? 1 : MIN(*size, sizeof(s32));
    return 0;
}
