/* rtnetlink(7): dumps of the one interface and its addresses.  Everything else is refused. */
#include "parts/sockets/netlink.h"
#include "parts/sockets/packets.h"

enum { NLMSG_ERROR = 2, NLMSG_DONE = 3, NLM_F_MULTI = 2, NLM_F_DUMP = 0x300 };
enum { RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_NEWADDR = 20, RTM_GETADDR = 22 };
enum { IFLA_ADDRESS = 1, IFLA_BROADCAST = 2, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_TXQLEN = 13 };
enum { IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_LABEL = 3 };
#define OWN_PORT 1
#define INDEX 1
#define SPACE 512 /* of one answer: more than any takes */

struct request {
    u32 length;
    u16 kind, flags;
    u32 sequence, port;
    u8 family;
};

/* An answer while it is written. */
struct answer {
    u8 bytes[SPACE];
    u32 used;
    u32 message; /* where the last message starts */
};

static void put(struct answer *to, const void *from, u32 size) {
    memcpy(to->bytes + to->used, from, size);
    to->used += ALIGN_UP(size, 4);
}

static void attribute(struct answer *to, u16 kind, const void *from, u16 size) {
    const u16 head[2] = {(u16)(size + sizeof head), kind};
    put(to, head, sizeof head);
    put(to, from, size);
}

static void begin(struct answer *to, const struct request *asked, u16 kind, u16 flags) {
    struct request head = *asked;
    to->message = to->used;
    head.kind = kind, head.flags = flags, head.port = OWN_PORT;
    put(to, &head, 16);
}

static void end(struct answer *to) {
    u32 size = to->used - to->message;
    memcpy(to->bytes + to->message, &size, sizeof size);
}

static const char name[] = "lo";

static void link(struct answer *to, const struct request *asked) {
    static const u8 nobody[6];
    const struct {
        u8 family, unused;
        u16 kind;
        u32 index, flags, change;
    } interface = {0, 0, 772, INDEX, 0x10049, 0}; /* ARPHRD_LOOPBACK, up and running */
    const u32 most = 65536, queue = 1000;
    begin(to, asked, RTM_NEWLINK, NLM_F_MULTI);
    put(to, &interface, sizeof interface);
    attribute(to, IFLA_IFNAME, name, sizeof name);
    attribute(to, IFLA_MTU, &most, sizeof most);
    attribute(to, IFLA_TXQLEN, &queue, sizeof queue);
    attribute(to, IFLA_ADDRESS, nobody, sizeof nobody);
    attribute(to, IFLA_BROADCAST, nobody, sizeof nobody);
    end(to);
}

static void host(struct answer *to, const struct request *asked, u8 family) {
    static const u8 four[4] = {127, 0, 0, 1}, six[16] = {[15] = 1};
    bool old = family == AF_INET;
    const u16 size = old ? sizeof four : sizeof six;
    const u8 head[8] = {family, old ? 8 : 128, 0x80, 254, INDEX, 0, 0,
                        0}; /* permanent, of a host */
    if (asked->family && asked->family != family)
        return;
    begin(to, asked, RTM_NEWADDR, NLM_F_MULTI);
    put(to, head, sizeof head);
    attribute(to, IFA_ADDRESS, old ? four : six, size);
    if (old) {
        attribute(to, IFA_LOCAL, four, size);
        attribute(to, IFA_LABEL, name, sizeof name);
    }
    end(to);
}

static void answer(struct answer *to, const struct request *asked) {
    bool dumps = (asked->flags & NLM_F_DUMP) == NLM_F_DUMP;
    const s32 none = 0, refused = -EOPNOTSUPP;
    if (!dumps || (asked->kind != RTM_GETLINK && asked->kind != RTM_GETADDR)) {
        begin(to, asked, NLMSG_ERROR, 0);
        put(to, &refused, sizeof refused);
        put(to, asked, 16);
        end(to);
        return;
    }
    if (asked->kind == RTM_GETLINK) {
        link(to, asked);
    } else {
        host(to, asked, AF_INET);
        host(to, asked, AF_INET6);
    }
    begin(to, asked, NLMSG_DONE, NLM_F_MULTI);
    put(to, &none, sizeof none);
    end(to);
}

static long send(struct socket *socket, struct message *message) {
    struct request asked = {0};
    struct answer made = {.used = 0};
    u64 size = message->size;
    message_get(message, (u8 *)&asked, MIN(size, sizeof asked));
    message->done = size;
    if (size < 16 || asked.length < 16)
        return 0; /* as Linux passes over it */
    answer(&made, &asked);
    struct packet *packet = packet_new(made.used);
    if (!packet)
        return -ENOBUFS;
    memcpy(packet->bytes, made.bytes, made.used);
    packet->size = made.used;
    packet_add(socket, packet);
    socket_changed(socket, POLL_READABLE);
    return 0;
}

static void told(u32 port, struct address *to) {
    *to = (struct address){.length = 12, .family = AF_NETLINK};
    memcpy(to->bytes + 4, &port, sizeof port);
}

static long receive(struct socket *socket, struct message *message) {
    struct packet *packet = socket->in.first;
    if (!packet)
        return -EAGAIN;
    u64 size = MIN(message->size, packet->size);
    message_put(message, packet->bytes, size);
    if (message->address)
        told(0, message->address);
    if (size < packet->size)
        message->told |= MSG_TRUNC;
    if (message->flags & MSG_TRUNC)
        message->result = packet->size;
    if (!(message->flags & MSG_PEEK))
        packet_free(packet_take(socket));
    return 0;
}

static long bind(struct socket *socket, const struct address *address) {
    (void)socket;
    return address->length < 12 || address->family != AF_NETLINK ? -EINVAL : 0;
}

static long tell_name(struct socket *socket, bool of_peer, struct address *to) {
    (void)socket;
    told(of_peer ? 0 : OWN_PORT, to);
    return 0;
}

static long shutdown(struct socket *socket, u32 how) {
    (void)socket, (void)how;
    return -EOPNOTSUPP;
}

static long unread(struct socket *socket) {
    return socket->in.first ? packet_left(socket->in.first) : 0;
}

static u32 ready(struct socket *socket) {
    return POLL_WRITABLE | POLLWRBAND | (socket->in.first ? POLL_READABLE : 0U);
}

static long set(struct socket *socket, s32 level, s32 option, const void *value, u32 size) {
    (void)socket, (void)level, (void)option, (void)value, (void)size;
    return 0; /* how much more an error tells */
}

static const struct transport netlink = {.bind = bind,
                                         .connect = bind,
                                         .send = send,
                                         .receive = receive,
                                         .shutdown = shutdown,
                                         .name = tell_name,
                                         .set = set,
                                         .unread = unread,
                                         .ready = ready,
                                         .close = packets_drop};

long netlink_choose(s32 type, s32 protocol, const struct transport **transport) {
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    *transport = &netlink;
    return protocol ? -EPROTONOSUPPORT : 0; /* NETLINK_ROUTE */
}
