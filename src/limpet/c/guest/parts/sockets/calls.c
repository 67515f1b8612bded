/* Sockets made, named, connected and ended; what comes first of each call's checks. */
#include "parts/sockets/internet.h"
#include "parts/sockets/netlink.h"
#include "parts/sockets/unix.h"

#define BACKLOG_MOST 4096 /* net.core.somaxconn */

/* Which transport serves it; a negative error where none does. */
static long choose(s32 family, s32 type, s32 protocol, const struct transport **transport) {
    if (family < 0 || family >= FAMILIES)
        return -EAFNOSUPPORT;
    if (type < 0 || type >= SOCK_KINDS)
        return -EINVAL;
    switch (family) {
    case AF_UNIX:
        return unix_choose(type, protocol, transport);
    case AF_INET:
    case AF_INET6:
        return internet_choose(type, protocol, transport);
    case AF_NETLINK:
        return netlink_choose(type, protocol, transport);
    default:
        return -EAFNOSUPPORT;
    }
}

static bool has_strange_flags(long type) {
    return (u32)type & ~(u32)(SOCK_KIND | SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static long make(long family, long type, long protocol, struct socket **made) {
    const struct transport *transport;
    u32 kind = (u32)type & SOCK_KIND;
    if (has_strange_flags(type))
        return -EINVAL;
    long found = choose((s32)family, (s32)kind, (s32)protocol, &transport);
    if (found < 0)
        return found;
    if (kind == SOCK_RAW && family == AF_UNIX)
        kind = SOCK_DGRAM;
    *made = socket_new(transport, (u16)family, (u8)kind, (u16)found);
    return *made ? 0 : -ENOBUFS;
}

long sys_socket(long family, long type, long protocol) {
    struct socket *socket;
    long error = make(family, type, protocol, &socket);
    if (error && outside_log && family != AF_UNIX)
        outside_log->family(family, type & SOCK_KIND);
    return error ? error : socket_install(socket, type);
}

long sys_close(long fd);

static long install_both(struct socket *a, struct socket *b, long flags, s32 *to) {
    long first = socket_install(a, flags);
    long second = socket_install(b, flags);
    if (first < 0 || second < 0) {
        if (first >= 0)
            sys_close(first);
        if (second >= 0)
            sys_close(second);
        return MIN(first, second);
    }
    to[0] = (s32)first, to[1] = (s32)second;
    return 0;
}

long sys_socketpair(long family, long type, long protocol, long to) {
    struct socket *a, *b;
    if (has_strange_flags(type))
        return -EINVAL;
    long error = fd_lowest(0);
    if (error >= 0)
        error = fd_lowest(error + 1);
    if (error < 0)
        return error;
    *(volatile u64 *)to = *(volatile u64 *)to; /* a bad one is a fault now */
    error = make(family, type, protocol, &a);
    if (error)
        return error;
    if (!a->transport->pair)
        error = -EOPNOTSUPP;
    else
        error = make(family, type, protocol, &b);
    if (error) {
        socket_close(a);
        return error;
    }
    a->transport->pair(a, b);
    return install_both(a, b, type, (s32 *)to);
}

long address_from(long from, long length, struct address *to) {
    if ((s32)length < 0 || (s32)length > ADDRESS_MOST)
        return -EINVAL;
    *to = (struct address){.length = (u32)length};
    memcpy(to->bytes, (const void *)from, (u32)length);
    return 0;
}

/* As much as there is room for; how long it is, is told in any case. */
long address_to(const struct address *address, long to, long length) {
    s32 room = *(const s32 *)length;
    if (room < 0)
        return -EINVAL;
    memcpy((void *)to, address->bytes, MIN((u32)room, address->length));
    *(s32 *)length = (s32)address->length;
    return 0;
}

static long socket_and_address(long fd, long from, long length, struct socket **socket,
                               struct address *address) {
    long error;
    *socket = socket_of(fd_use(fd), &error);
    return error ? error : address_from(from, length, address);
}

long sys_bind(long fd, long from, long length) {
    struct address address;
    struct socket *socket;
    long error = socket_and_address(fd, from, length, &socket, &address);
    return error ? error : socket->transport->bind(socket, &address);
}

long sys_listen(long fd, long backlog) {
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (error)
        return error;
    u32 most = MIN((u32)backlog, BACKLOG_MOST);
    return socket->transport->listen ? socket->transport->listen(socket, most) : -EOPNOTSUPP;
}

static long accept_one(struct socket *socket, struct socket **made) {
    if (!socket->transport->accept)
        return -EOPNOTSUPP;
    const struct patience patience = socket_patience(socket, socket->receive_timeout, 0,
                                                     "a connection that nobody else can make");
    for (;;) {
        long error = socket->transport->accept(socket, made);
        if (error != -EAGAIN)
            return error;
        error = socket_wait(socket, &patience);
        if (error)
            return error;
    }
}

long sys_accept4(long fd, long to, long length, long flags) {
    struct address address;
    struct socket *made;
    long error;
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    if ((u32)flags & ~(u32)(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    long lowest = fd_lowest(0);
    if (lowest < 0)
        return lowest;
    struct socket *socket = socket_of(file, &error);
    if (!error)
        error = accept_one(socket, &made);
    if (error)
        return error;
    long accepted = socket_install(made, flags);
    if (accepted < 0 || !to)
        return accepted;
    error = made->transport->name(made, true, &address);
    error = error ? -ECONNABORTED : address_to(&address, to, length);
    if (!error)
        return accepted;
    sys_close(accepted);
    return error;
}

long sys_accept(long fd, long to, long length) {
    return sys_accept4(fd, to, length, 0);
}

/* What is under way goes on when the call has waited long enough. */
static long connect_to(struct socket *socket, const struct address *address) {
    const struct patience patience = socket_patience(socket, socket->send_timeout, 0,
                                                     "a connection that nobody else can accept");
    long error = socket->transport->connect(socket, address);
    if (error == -EINPROGRESS && !patience.never)
        error = socket->transport->connect(socket, address);
    while (error == -EAGAIN || error == -EALREADY) {
        bool begun = error == -EALREADY;
        if (begun && patience.never)
            return error;
        error = socket_wait(socket, &patience);
        if (!begun)
            socket_waits_no_more(socket);
        if (error)
            return error == -EAGAIN && begun ? -EINPROGRESS : error;
        error = socket->transport->connect(socket, address);
    }
    return error;
}

long sys_connect(long fd, long from, long length) {
    struct address address;
    struct socket *socket;
    long error = socket_and_address(fd, from, length, &socket, &address);
    return error ? error : connect_to(socket, &address);
}

static long tell_name(long fd, bool of_peer, long to, long length) {
    struct address address;
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (!error && of_peer && socket->transport->gone && socket->transport->gone(socket))
        error = -ENOTCONN;
    if (!error)
        error = socket->transport->name(socket, of_peer, &address);
    return error ? error : address_to(&address, to, length);
}

long sys_getsockname(long fd, long to, long length) {
    return tell_name(fd, false, to, length);
}

long sys_getpeername(long fd, long to, long length) {
    return tell_name(fd, true, to, length);
}

long sys_shutdown(long fd, long how) {
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (error)
        return error;
    if ((u32)how >= SHUT_BOTH)
        return -EINVAL;
    return socket->transport->shutdown(socket, (u32)how + 1);
}
