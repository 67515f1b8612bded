/* send and recv, with all that a message can have (sendmsg(2)). */
#include "core/park.h"
#include "parts/sockets/ancillary.h"

long sys_sendto(long fd, long from, long size, long flags, long to, long length) {
    const struct linux_iovec vector = {(u64)from, MIN((u64)size, MOST_BYTES)};
    struct message message;
    struct address address;
    long error = message_of(&vector, 1, (u32)flags, &message);
    if (error)
        return error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (!error && to)
        error = address_from(to, length, &address);
    if (error)
        return error;
    if (to && (address.length || socket->family != AF_UNIX))
        message.address = &address;
    if (!to && !flags)
        message.done = socket_give(socket, (u64)from, message.size);
    if (message.done && message.done == message.size)
        return (long)message.done;
    message_touch(&message);
    return socket_send(socket, &message);
}

long sys_recvfrom(long fd, long to, long size, long flags, long from, long length) {
    const struct linux_iovec vector = {(u64)to, MIN((u64)size, MOST_BYTES)};
    struct address address = {.length = 0};
    struct message message;
    long error = message_of(&vector, 1, (u32)flags, &message);
    if (error)
        return error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (error)
        return error;
    message.address = &address;
    long got = from || flags ? -EAGAIN : socket_take(socket, (u64)to, message.size);
    if (got != -EAGAIN)
        return got;
    got = socket_receive(socket, &message);
    rights_drop(message.rights);
    if (got < 0 || !from)
        return got;
    error = address_to(&address, from, length);
    return error ? error : got;
}

/* The name and the bytes of a msghdr. */
static long import(const struct linux_message *from, u32 flags, bool sends, struct message *message,
                   struct address *address) {
    address->length = 0;
    if (from->name && (s32)from->name_length < 0)
        return -EINVAL;
    if (sends && from->name && from->name_length)
        address_from((long)from->name, MIN(from->name_length, ADDRESS_MOST), address);
    long error = message_of((const struct linux_iovec *)from->vector, from->count, flags, message);
    if (!error && (!sends || (from->name && from->name_length)))
        message->address = address;
    if (!error && sends)
        message_touch(message);
    return error;
}

static long send_one(struct socket *socket, const struct linux_message *from, u32 flags) {
    struct linux_message copy = *from;
    struct message message;
    struct address address;
    long error = import(&copy, flags, true, &message, &address);
    if (!error && copy.control_size)
        error = ancillary_take(socket, &copy, &message);
    return error ? error : socket_send(socket, &message);
}

static long receive_one(struct socket *socket, struct linux_message *to, u32 flags) {
    struct linux_message copy = *to;
    struct message message;
    struct address address;
    long error = import(&copy, flags, false, &message, &address);
    if (error)
        return error;
    ancillary_touch(&copy);
    message.told = flags & MSG_CMSG_CLOEXEC;
    long got = socket_receive(socket, &message);
    if (got < 0)
        return got;
    u64 used = ancillary_give(socket, &copy, &message);
    if (copy.name)
        error = address_to(&address, (long)copy.name, (long)&to->name_length);
    to->flags = message.told;
    to->control_size = used;
    return error ? error : got;
}

long sys_sendmsg(long fd, long from, long flags) {
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    return error ? error : send_one(socket, (const struct linux_message *)from, (u32)flags);
}

long sys_recvmsg(long fd, long to, long flags) {
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    return error ? error : receive_one(socket, (struct linux_message *)to, (u32)flags);
}

/* What came of several: how many, or why not even one. */
static long several(u64 done, long error) {
    return done ? (long)done : error;
}

long sys_sendmmsg(long fd, long from, long count, long flags) {
    struct linux_messages *each = (struct linux_messages *)from;
    u64 done = 0, most = MIN((u32)count, IOV_MAX);
    long error;
    struct socket *socket = socket_of(fd_use(fd), &error);
    while (!error && done < most) {
        long size = send_one(socket, &each[done].message, (u32)flags);
        if (size >= 0)
            each[done++].size = (u32)size;
        else
            error = size;
    }
    return several(done, error);
}

static bool is_over(s64 deadline) {
    return deadline != FOREVER && (s64)host_time.monotonic() >= deadline;
}

static long receive_all(struct socket *socket, struct linux_messages *each, u64 count, u32 flags,
                        s64 deadline) {
    u64 done = 0;
    long error = 0;
    while (done < count) {
        long size = receive_one(socket, &each[done].message, flags & ~(u32)MSG_WAITFORONE);
        if (size < 0) {
            error = size;
            break;
        }
        each[done++].size = (u32)size;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (is_over(deadline))
            break;
    }
    if (done && error && error != -EAGAIN && error != -EFAULT)
        socket->error = (s32)-error; /* the next call tells */
    return several(done, error);
}

long sys_recvmmsg(long fd, long to, long count, long flags, long time) {
    s64 deadline = FOREVER, wait;
    long error;
    if (time) {
        wait = time_to_wait((const struct linux_timespec *)time);
        if (wait < 0)
            return -EINVAL;
        deadline = deadline_after(host_time.monotonic(), wait);
    }
    struct socket *socket = socket_of(fd_use(fd), &error);
    if (!error)
        error = socket_error(socket);
    if (error)
        return error;
    return receive_all(socket, (struct linux_messages *)to, MIN((u32)count, IOV_MAX), (u32)flags,
                       deadline);
}
