/* Options that every socket has; the rest are its transport's. */
#include "core/park.h"
#include "parts/sockets/socket.h"

#define SIZE_MOST 212992U /* net.core.wmem_max and rmem_max */
#define SEND_LEAST 4608U
#define RECEIVE_LEAST 2304U

/* Those that are on or off and change nothing here, or are looked at where they count. */
#define SWITCHES                                                                                   \
    (1U << SO_DEBUG | 1U << SO_REUSEADDR | 1U << SO_DONTROUTE | 1U << SO_BROADCAST |               \
     1U << SO_KEEPALIVE | 1U << SO_OOBINLINE | 1U << SO_REUSEPORT | 1U << SO_PASSCRED)

static bool is_switch(s32 name) {
    return name >= 0 && name < 32 && SWITCHES >> name & 1;
}

/* Twice what is asked for, as Linux keeps it. */
static u32 doubled(s32 value, bool forced, u32 least) {
    u32 size = forced ? (u32)MAX(value, 0) : MIN((u32)value, SIZE_MOST);
    return MAX(MIN(size, 0x3fffffffU) * 2, least);
}

static long set_linger(struct socket *socket, const void *value, u32 size) {
    const struct {
        s32 on, seconds;
    } *linger = value;
    if (size < sizeof *linger)
        return -EINVAL;
    socket->linger = linger->on ? linger->seconds : -1;
    return 0;
}

static long set_number(struct socket *socket, s32 name, s32 value) {
    if (is_switch(name)) {
        u32 bit = 1U << name;
        bool local = socket->family == AF_UNIX;
        if ((name == SO_PASSCRED && !local) || (name == SO_REUSEPORT && local && value))
            return -EOPNOTSUPP;
        socket->options = value ? socket->options | bit : socket->options & ~bit;
        return 0;
    }
    switch (name) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        socket->send_size = doubled(value, name == SO_SNDBUFFORCE, SEND_LEAST);
        socket_changed(socket, POLL_WRITABLE | POLLWRBAND);
        return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        socket->receive_size = doubled(value, name == SO_RCVBUFFORCE, RECEIVE_LEAST);
        return 0;
    case SO_RCVLOWAT:
        socket->low_water = value < 0 ? 0x7fffffffU : MAX((u32)value, 1U);
        return 0;
    case SO_PRIORITY:
        socket->priority = (u32)value;
        return 0;
    case SO_MARK:
        socket->mark = (u32)value;
        return 0;
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
        socket->stamps = value ? name : 0;
        return 0;
    case SO_TYPE:
    case SO_PROTOCOL:
    case SO_DOMAIN:
    case SO_ERROR:
    case SO_ACCEPTCONN:
    case SO_SNDLOWAT:
    default:
        return -ENOPROTOOPT;
    }
}

static long set(struct socket *socket, s32 level, s32 name, const void *value, u32 size) {
    if (level != SOL_SOCKET)
        return socket->transport->set ? socket->transport->set(socket, level, name, value, size)
                                      : -EOPNOTSUPP;
    if (size < sizeof(s32))
        return -EINVAL;
    s32 number = *(const volatile s32 *)value; /* a bad pointer is EFAULT, whatever the name */
    long error =
        name == SO_LINGER ? set_linger(socket, value, size) : set_number(socket, name, number);
    if (!error && socket->transport->kept)
        socket->transport->kept(socket, name, value, size);
    return error;
}

static bool is_timeout(s32 name) {
    return name == SO_RCVTIMEO || name == SO_SNDTIMEO || name == SO_RCVTIMEO_NEW ||
           name == SO_SNDTIMEO_NEW;
}

static s64 *timeout_of(struct socket *socket, s32 name) {
    bool receives = name == SO_RCVTIMEO || name == SO_RCVTIMEO_NEW;
    return receives ? &socket->receive_timeout : &socket->send_timeout;
}

#define MICROSECONDS 1000000
#define EDOM 33

static long set_timeout(struct socket *socket, s32 name, const struct linux_timeval *value,
                        u32 size) {
    if (size >= sizeof(s32))
        (void)*(const volatile s32 *)value;
    if (size < sizeof *value)
        return -EINVAL;
    struct linux_timeval time = *value;
    if (time.microseconds < 0 || time.microseconds >= MICROSECONDS)
        return -EDOM;
    s64 seconds = MIN(time.seconds, 1L << 32),
        wait = seconds * NANOSECONDS + time.microseconds * 1000;
    *timeout_of(socket, name) = seconds < 0 ? 0 : wait ? wait : FOREVER;
    return 0;
}

static long set_option(long fd, long level, long name, long value, long size, bool timeouts) {
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (error)
        return error;
    if ((s32)size < 0)
        return -EINVAL;
    if (timeouts && (s32)level == SOL_SOCKET && is_timeout((s32)name))
        return set_timeout(socket, (s32)name, (const struct linux_timeval *)value, (u32)size);
    return set(socket, (s32)level, (s32)name, (const void *)value, (u32)size);
}

/* All but those that need the time. */
long sys_setsockopt_timeless(long fd, long level, long name, long value, long size) {
    return set_option(fd, level, name, value, size, false);
}

/* The first look at the clock brings `wait` into the plan, without which no time passes. */
long sys_setsockopt(long fd, long level, long name, long value, long size) {
    if (is_timeout((s32)name) || name == SO_TIMESTAMP || name == SO_TIMESTAMPNS)
        (void)host_time.monotonic();
    return set_option(fd, level, name, value, size, true);
}

static s32 number_of(struct socket *socket, s32 name) {
    switch (name) {
    case SO_TYPE:
        return socket->type;
    case SO_PROTOCOL:
        return socket->protocol;
    case SO_DOMAIN:
        return socket->family;
    case SO_ERROR:
        if (socket->transport->failed)
            socket->transport->failed(socket);
        return (s32)-socket_error(socket);
    case SO_ACCEPTCONN:
        return socket->state == LISTENING;
    case SO_SNDBUF:
        return (s32)socket->send_size;
    case SO_RCVBUF:
        return (s32)socket->receive_size;
    case SO_RCVLOWAT:
        return (s32)socket->low_water;
    case SO_SNDLOWAT:
        return 1;
    case SO_PRIORITY:
        return (s32)socket->priority;
    case SO_MARK:
        return (s32)socket->mark;
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
        return socket->stamps == name;
    case SO_PEEK_OFF:
        return -1;
    default:
        return is_switch(name) ? option(socket, (u32)name) : -ENOPROTOOPT;
    }
}

union value {
    s32 number;
    s32 linger[2];
    struct linux_timeval time;
    struct credentials by;
    u8 bytes[256];
};

static long get_own(struct socket *socket, s32 name, union value *value, u32 *size) {
    if (is_timeout(name)) {
        s64 time = *timeout_of(socket, name);
        s64 told = time == FOREVER ? 0 : time;
        value->time = (struct linux_timeval){told / NANOSECONDS, told % NANOSECONDS / 1000};
        *size = sizeof value->time;
    } else if (name == SO_LINGER) {
        value->linger[0] = socket->linger >= 0, value->linger[1] = MAX(socket->linger, 0);
        *size = sizeof value->linger;
    } else if (name == SO_PEERCRED) {
        value->by = socket->by;
        *size = sizeof value->by;
    } else {
        s32 number = number_of(socket, name);
        if (number == -ENOPROTOOPT)
            return number;
        if (name == SO_PASSCRED && socket->family != AF_UNIX)
            return -EOPNOTSUPP;
        value->number = number;
        *size = sizeof number;
    }
    return 0;
}

long sys_getsockopt(long fd, long level, long name, long to, long length) {
    union value value = {0};
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (error)
        return error;
    s32 room = *(const s32 *)length;
    if (room < 0)
        return (s32)level == SOL_SOCKET || socket->transport->get ? -EINVAL : -EOPNOTSUPP;
    u32 size = MIN((u32)room, sizeof value);
    if ((s32)level == SOL_SOCKET)
        error = get_own(socket, (s32)name, &value, &size);
    else if (socket->transport->get)
        error = socket->transport->get(socket, (s32)level, (s32)name, value.bytes, &size);
    else
        error = -EOPNOTSUPP;
    if (error)
        return error;
    size = MIN(size, (u32)room);
    memcpy((void *)to, value.bytes, size);
    *(s32 *)length = (s32)size;
    return 0;
}
