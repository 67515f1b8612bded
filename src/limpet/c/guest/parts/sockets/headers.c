/* What a datagram's header says beside its addresses: where it went, hops and traffic class, as
 * ip(7) and ipv6(7) (RFC 3542) have it.  A program asks for them, and says them for one message. */
#include "parts/sockets/headers.h"

enum { IP_TOS = 1, IP_TTL = 2, IP_PKTINFO = 8, IP_RECVTTL = 12, IP_RECVTOS = 13 };
enum { IPV6_UNICAST_HOPS = 16, IPV6_RECVPKTINFO = 49, IPV6_PKTINFO = 50, IPV6_RECVHOPLIMIT = 51 };
enum { IPV6_HOPLIMIT = 52, IPV6_RECVTCLASS = 66, IPV6_TCLASS = 67 };
enum { LOOPBACK = 1 }; /* the index of the only interface */
enum { AS_EVER = -1 }; /* what the socket's option says */

struct to_4 {
    s32 interface;
    u8 local[4], to[4];
};
struct to_6 {
    u8 to[16];
    u32 interface;
};

/* Of many: 224.0.0.0/4 and 255.255.255.255. */
static bool is_of_many(const u8 host[4]) {
    return host[0] >> 4 == 14 || !memcmp(host, "\xff\xff\xff\xff", 4);
}

/* Whence it goes. */
static long from_host(struct message *message, const struct endpoint *from) {
    memcpy(message->header.host, from->host, sizeof from->host);
    if (host_is_any(from) || endpoint_reach(from) == TO_ITSELF)
        return 0;
    return host_is_v4(from) && !is_of_many(from->host + 12) ? -ENETUNREACH : -EINVAL;
}

/* `least` to 255 as an int, as the kernel takes it. */
static long number(u64 size, const void *data, s32 least, s32 *to) {
    s32 value = size == sizeof value ? *(const s32 *)data : 256;
    if (value < least || value > 255)
        return -EINVAL;
    *to = value;
    return 0;
}

static long take_4(struct message *message, const struct linux_control *each, u64 size) {
    const u8 *data = (const u8 *)(each + 1);
    struct endpoint from = {.host = {[10] = 0xff, [11] = 0xff}};
    switch (each->kind) {
    case IP_TTL:
        return number(size, data, 1, &message->header.hops);
    case IP_TOS:
        if (size != 1)
            return number(size, data, 0, &message->header.class);
        message->header.class = *data;
        return 0;
    case IP_PKTINFO:
        if (size != sizeof(struct to_4))
            return -EINVAL;
        memcpy(from.host + 12, ((const struct to_4 *)data)->local, 4);
        return from_host(message, &from);
    default:
        return -EINVAL;
    }
}

static long take_6(struct message *message, const struct linux_control *each, u64 size) {
    const u8 *data = (const u8 *)(each + 1);
    struct endpoint from = {.port = 0};
    switch (each->kind) {
    case IPV6_HOPLIMIT:
        return number(size, data, AS_EVER, &message->header.hops);
    case IPV6_TCLASS:
        return number(size, data, AS_EVER, &message->header.class);
    case IPV6_PKTINFO:
        if (size < sizeof(struct to_6))
            return -EINVAL;
        memcpy(from.host, data, sizeof from.host);
        return host_is_v4(&from) ? -EINVAL : from_host(message, &from);
    default:
        return -EINVAL;
    }
}

static long take(struct message *message, const struct linux_control *each, bool v4) {
    u64 size = each->length - sizeof *each;
    if (each->level == SOL_UDP) /* nothing is cut into pieces here */
        return -EINVAL;
    if (each->level == SOL_SOCKET)
        return each->kind == SCM_RIGHTS || each->kind == SCM_CREDENTIALS ? 0 : -EINVAL;
    if (each->level == (v4 ? SOL_IP : SOL_IPV6))
        return (v4 ? take_4 : take_6)(message, each, size);
    return 0;
}

/* Whatever the socket's version is: it can lead to an address of the other. */
static bool goes_by_v4(const struct socket *socket, const struct message *message) {
    struct endpoint to = socket->remote;
    if (message->address && endpoint_of(socket, message->address, &to))
        return socket->family == AF_INET;
    return host_is_v4(&to);
}

long headers_take(struct socket *socket, const struct linux_message *from,
                  struct message *message) {
    u64 size = from->control_size;
    bool v4 = goes_by_v4(socket, message);
    long error = fd_memory(from->control, size) ? 0 : -EFAULT;
    for (u64 at = 0; !error && at + sizeof(struct linux_control) <= size;) {
        const struct linux_control *each = (const struct linux_control *)(from->control + at);
        u64 length = each->length;
        if (length < sizeof *each || length > size - at)
            return -EINVAL;
        error = take(message, each, v4);
        at += ALIGN_UP(length, 8);
    }
    return error;
}

void header_source(const struct message *message, const struct endpoint *to,
                   struct endpoint *from) {
    struct endpoint said = *from;
    memcpy(said.host, message->header.host, sizeof said.host);
    if (!host_is_any(&said) && host_is_v4(&said) == host_is_v4(to))
        *from = said;
}

struct header header_sent(const struct socket *socket, const struct message *message,
                          const struct endpoint *to) {
    struct header header = message->header;
    bool v6 = !host_is_v4(to);
    if (header.hops < 0)
        header.hops = v6 ? internet_number(socket, SOL_IPV6, IPV6_UNICAST_HOPS)
                         : internet_number(socket, SOL_IP, IP_TTL);
    if (header.class < 0)
        header.class = v6 ? internet_number(socket, SOL_IPV6, IPV6_TCLASS)
                          : internet_number(socket, SOL_IP, IP_TOS);
    if (header.class < 0)
        header.class = 0;
    memcpy(header.host, to->host, sizeof header.host);
    return header;
}

static void give_4(struct socket *socket, struct room *room, const struct header *header) {
    struct to_4 info = {.interface = LOOPBACK};
    s32 hops = header->hops;
    u8 class = (u8)header->class;
    memcpy(info.to, header->host + 12, sizeof info.to);
    memcpy(info.local, info.to, sizeof info.local);
    if (internet_number(socket, SOL_IP, IP_PKTINFO))
        ancillary_put(room, SOL_IP, IP_PKTINFO, &info, sizeof info);
    if (internet_number(socket, SOL_IP, IP_RECVTTL))
        ancillary_put(room, SOL_IP, IP_TTL, &hops, sizeof hops);
    if (internet_number(socket, SOL_IP, IP_RECVTOS))
        ancillary_put(room, SOL_IP, IP_TOS, &class, sizeof class);
}

static void give_6(struct socket *socket, struct room *room, const struct header *header) {
    s32 hops = header->hops, class = header->class;
    if (internet_number(socket, SOL_IPV6, IPV6_RECVHOPLIMIT))
        ancillary_put(room, SOL_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops);
    if (internet_number(socket, SOL_IPV6, IPV6_RECVTCLASS))
        ancillary_put(room, SOL_IPV6, IPV6_TCLASS, &class, sizeof class);
}

static bool is_v4(const struct header *header) {
    struct endpoint to;
    memcpy(to.host, header->host, sizeof to.host);
    return host_is_v4(&to);
}

/* When it came, as far as anybody here knows: it is read now. */
static void give_time(const struct socket *socket, struct room *room) {
    u64 now = guest_time->realtime(), part = now % NANOSECONDS;
    const u64 time[] = {now / NANOSECONDS, socket->stamps == SO_TIMESTAMPNS ? part : part / 1000};
    ancillary_put(room, SOL_SOCKET, socket->stamps, time, sizeof time);
}

void headers_give(struct socket *socket, struct room *room, const struct header *header) {
    struct to_6 info = {.interface = LOOPBACK};
    if (socket->stamps && guest_time)
        give_time(socket, room);
    memcpy(info.to, header->host, sizeof info.to);
    if (socket->family == AF_INET6 && internet_number(socket, SOL_IPV6, IPV6_RECVPKTINFO))
        ancillary_put(room, SOL_IPV6, IPV6_PKTINFO, &info, sizeof info);
    if (is_v4(header))
        give_4(socket, room, header);
    else
        give_6(socket, room, header);
}
