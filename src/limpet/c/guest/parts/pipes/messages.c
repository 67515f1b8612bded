/* What is sent between the two ends of a socket pair. */
#include "parts/pipes/pipe.h"

enum { MSG_PEEK = 2, MSG_DONTWAIT = 0x40, MSG_WAITALL = 0x100, MSG_NOSIGNAL = 0x4000 };
#define ADDRESS_MOST 128 /* struct sockaddr_storage */

static long socket_at(long fd, struct file **file) {
    *file = fd_use(fd);
    if (!*file)
        return -EBADF;
    return is_socket_end(*file) ? 0 : -ENOTSOCK;
}

static bool never_waits(const struct file *file, long flags) {
    return flags & MSG_DONTWAIT || file->flags & O_NONBLOCK;
}

static long send_bytes(struct file *file, const u8 *from, u64 size, long flags) {
    struct pipe *pipe = ((struct end *)file->object)->out;
    u64 done = 0;
    long error = 0;
    while (done < size && !error) {
        if (!pipe->readers || pipe_full(pipe)) {
            error = flags & MSG_NOSIGNAL ? pipe_await_room_silent(file, never_waits(file, flags))
                                         : pipe_await_room(file, never_waits(file, flags));
            continue;
        }
        long put = pipe_put(pipe, from + done, size - done, false);
        error = MIN(put, 0);
        done += put > 0 ? (u64)put : 0;
        pipe_tell(NULL, pipe);
    }
    return done ? (long)done : error;
}

/* A pair has no addresses: who gives one is told that it is connected. */
long sys_sendto(long fd, long from, long size, long flags, long address, long length) {
    struct file *file;
    if (!fd_memory((u64)from, (u64)size))
        return -EFAULT;
    long error = socket_at(fd, &file);
    if (error)
        return error;
    if (address && (u32)length > ADDRESS_MOST)
        return -EINVAL;
    if (address && (s32)length)
        return -EISCONN;
    return send_bytes(file, (const u8 *)from, MIN((u64)size, MOST_BYTES), flags);
}

static long receive(struct file *file, u8 *to, u64 size, long flags) {
    struct pipe *pipe = ((struct end *)file->object)->in;
    u64 done = 0;
    long error = 0;
    do {
        error = size ? pipe_await_input(file, never_waits(file, flags)) : 0;
        if (error || !pipe->used)
            break;
        if (flags & MSG_PEEK)
            return (long)pipe_peek(pipe, to, size);
        bool was_full = pipe_full(pipe);
        done += pipe_take(pipe, to + done, size - done);
        if (was_full)
            pipe_tell(pipe, NULL);
    } while (flags & MSG_WAITALL && done < size);
    return done ? (long)done : error;
}

long sys_recvfrom(long fd, long to, long size, long flags, long address, long length) {
    struct file *file;
    if (!fd_memory((u64)to, (u64)size))
        return -EFAULT;
    long error = socket_at(fd, &file);
    if (error)
        return error;
    long got = receive(file, (u8 *)to, MIN((u64)size, MOST_BYTES), flags);
    if (got < 0 || !address)
        return got;
    if (*(s32 *)length < 0)
        return -EINVAL;
    *(s32 *)length = 0;
    return got;
}
