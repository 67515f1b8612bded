/* Sockets as open files. */
#include "parts/sockets/interfaces.h"
#include "parts/sockets/packets.h"
#include "parts/sockets/unix.h"

#define SEND_SIZE 212992 /* net.core.wmem_default; rmem_default is the same */

struct socket *socket_new(const struct transport *transport, u16 family, u8 type, u16 protocol) {
    struct socket *socket = heap_alloc(sizeof *socket);
    if (!socket)
        return NULL;
    socket->transport = transport;
    socket->references = 1;
    socket->family = family, socket->type = type, socket->protocol = protocol;
    socket->send_size = socket->receive_size = SEND_SIZE;
    socket->low_water = 1;
    socket->send_timeout = socket->receive_timeout = FOREVER;
    socket->linger = -1;
    socket->by = (struct credentials){0, ~0U, ~0U};
    if (transport->open)
        transport->open(socket);
    return socket;
}

void socket_put(struct socket *socket) {
    if (!socket || --socket->references)
        return;
    unix_name_put(socket->own_name); /* told as the peer's until now */
    heap_free(socket);
}

void socket_close(struct socket *socket) {
    socket->file = NULL;
    socket->dead = true;
    socket->transport->close(socket);
    socket_put(socket);
}

static void release(struct file *file) {
    socket_close(file->object);
}

long socket_install(struct socket *socket, long flags) {
    u32 kept = O_RDWR | ((u32)flags & O_NONBLOCK);
    struct file *file = file_new(&socket_ops, kept, socket);
    if (!file) {
        socket_close(socket);
        return -ENOMEM;
    }
    socket->file = file;
    return fd_install(file, 0, flags & SOCK_CLOEXEC);
}

struct socket *socket_of(struct file *file, long *error) {
    bool is = file && file->ops == &socket_ops;
    *error = is ? 0 : file ? -ENOTSOCK : -EBADF;
    return is ? file->object : NULL;
}

/* Those that wait for room in its queue wait for a change of their own. */
void socket_changed(struct socket *socket, u32 events) {
    if (socket->file)
        file_changed(socket->file, events);
}

void socket_enqueue(struct socket *listener, struct socket *made) {
    struct socket **last = &listener->pending;
    while (*last)
        last = &(*last)->next_pending;
    *last = made;
    listener->pending_count++;
    socket_changed(listener, POLL_READABLE);
}

long socket_error(struct socket *socket) {
    s32 error = socket->error;
    socket->error = 0;
    return -error;
}

struct patience socket_patience(const struct socket *socket, s64 timeout, u32 flags,
                                const char *what) {
    bool never = flags & MSG_DONTWAIT || socket->file->flags & O_NONBLOCK || !timeout;
    s64 deadline = FOREVER;
    if (!never && timeout != FOREVER) /* without guest_time it is over at once */
        deadline = guest_time ? deadline_after(guest_time->monotonic(), timeout) : 0;
    return (struct patience){.deadline = deadline, .never = never, .what = what};
}

long socket_wait(struct socket *socket, const struct patience *patience) {
    const struct transport *transport = socket->transport;
    const struct waiting waits = {.deadline = patience->deadline,
                                  .want = transport->awaited ? transport->awaited(socket) : 0,
                                  .what = patience->what,
                                  .on = socket->file,
                                  .restarts = patience->deadline == FOREVER};
    long error = patience->never ? -EAGAIN : park(&waits);
    return error == -ETIMEDOUT ? -EAGAIN : error;
}

static long read_all(struct file *file, const struct linux_iovec *vector, u64 count, u64 size) {
    struct message message = {.vector = vector, .count = count, .size = size};
    if (!size)
        return 0;
    long got = socket_receive(file->object, &message);
    rights_drop(message.rights);
    return got;
}

/* The first `done` bytes have gone already. */
static long write_rest(struct file *file, const struct linux_iovec *vector, u64 count, u64 size,
                       u64 done) {
    struct message message = {.vector = vector, .count = count, .size = size, .done = done};
    message_touch(&message);
    return socket_send(file->object, &message);
}

static long write_all(struct file *file, const struct linux_iovec *vector, u64 count, u64 size) {
    return write_rest(file, vector, count, size, 0);
}

static __attribute__((noinline)) long read_piece(struct file *file, u64 to, u64 size) {
    const struct linux_iovec vector = {to, size};
    return read_all(file, &vector, 1, size);
}

static __attribute__((noinline)) long write_piece(struct file *file, u64 from, u64 size, u64 done) {
    const struct linux_iovec vector = {from, size};
    return write_rest(file, &vector, 1, size, done);
}

static long read(struct file *file, void *to, u64 size) {
    long got = socket_take(file->object, (u64)to, size);
    return got == -EAGAIN ? read_piece(file, (u64)to, size) : got;
}

static long write(struct file *file, const void *from, u64 size) {
    u64 done = socket_give(file->object, (u64)from, size);
    return done && done == size ? (long)done : write_piece(file, (u64)from, size, done);
}

static long stat(struct file *file, struct linux_stat *to) {
    *to = (struct linux_stat){
        .dev = 2, .ino = (u64)file->object, .nlink = 1, .mode = S_IFSOCK | 0777, .blksize = PAGE};
    return 0;
}

enum { FIONREAD = 0x541b, SIOCOUTQ = 0x5411, SIOCATMARK = 0x8905 };

static long ioctl(struct file *file, u64 request, u64 argument) {
    struct socket *socket = file->object;
    long value = 0;
    switch (request) {
    case FIONREAD:
        value = socket->transport->unread(socket);
        break;
    case SIOCOUTQ:
        value = socket->family == AF_UNIX ? socket->charged : 0;
        break;
    case SIOCATMARK:
        value = is_stream(socket) && socket->family != AF_UNIX ? 0 : -EOPNOTSUPP;
        break;
    default:
        return interfaces_ioctl(request, argument);
    }
    if (value >= 0)
        *(s32 *)argument = (s32)value;
    return MIN(value, 0);
}

static u32 poll(struct file *file) {
    struct socket *socket = file->object;
    return socket->transport->ready(socket);
}

static u64 awaited(const struct file *file) {
    const struct socket *socket = file->object;
    return socket->transport->awaited ? socket->transport->awaited(socket) : 0;
}

const struct file_ops socket_ops = {.read = read,
                                    .write = write,
                                    .stat = stat,
                                    .ioctl = ioctl,
                                    .poll = poll,
                                    .awaited = awaited,
                                    .release = release,
                                    .readv = read_all,
                                    .writev = write_all,
                                    .told = true};
