/* poll: a list of descriptors, each with what is asked of it. */
#include "parts/poll/ready.h"

static long look_once(const struct watch *watch, u64 *want) {
    struct pollfd *fds = watch->list;
    long ready = 0;
    for (u64 i = 0; i < watch->count; i++) {
        struct file *file = fd_use(fds[i].fd);
        u32 events = (u32)fds[i].events;
        fds[i].ready = 0;
        if (fds[i].fd < 0)
            continue;
        u32 got = file ? file_poll(file) & (events | POLLERR | POLLHUP) : POLLNVAL;
        fds[i].ready = (u16)got;
        ready += got != 0;
        *want |= file ? awaited(file, events) : 0;
    }
    return ready;
}

static long look_at_all(struct watch *watch, u64 *want) {
    long ready = look_once(watch, want);
    bool again = ready && *want & WANT_SOCKETS && !watch->asked && glance(STALE_SOME);
    return again ? look_once(watch, want) : ready;
}

long poll_all(struct pollfd *fds, u64 count, s64 timeout) {
    struct watch watch = {.look = look_at_all, .list = fds, .count = count};
    return watch_for(&watch, timeout);
}

long sys_poll(long fds, long count, long milliseconds) {
    if ((u32)count > fd_limit())
        return -EINVAL;
    return poll_all((struct pollfd *)fds, (u32)count, timeout_in(milliseconds));
}

long sys_ppoll(long fds, long count, long time, long mask, long size) {
    s64 timeout;
    long error = timeout_of((const struct linux_timespec *)time, &timeout);
    if (!error)
        error = watch_mask((const u64 *)mask, size);
    if (error)
        return error;
    struct rest rest = rest_of(timeout, (u64)time, false);
    long result =
        (u32)count > fd_limit() ? -EINVAL : poll_all((struct pollfd *)fds, (u32)count, timeout);
    return watch_result(result, &rest);
}
