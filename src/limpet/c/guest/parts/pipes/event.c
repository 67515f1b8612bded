/* Event counters: eventfd. */
#include "core/park.h"
#include "parts/fd/fd.h"

enum { EFD_SEMAPHORE = 1 };

static long wait_for(const struct file *file, const char *what) {
    const struct waiting waits = {.deadline = FOREVER, .what = what, .on = file, .restarts = true};
    return file->flags & O_NONBLOCK ? -EAGAIN : park(&waits);
}

static long event_read(struct file *file, void *to, u64 size) {
    long error = 0;
    if (size < 8)
        return -EINVAL;
    while (!file->extra && !error)
        error = wait_for(file, "an event counter that nobody else can raise");
    if (error)
        return error;
    u64 value = file->object ? 1 : file->extra;
    *(u64 *)to = value;
    file->extra -= value;
    file_changed(file, POLLOUT);
    return 8;
}

static long event_write(struct file *file, const void *from, u64 size) {
    u64 value = size != 8 ? ~0UL : *(const u64 *)from;
    long error = 0;
    if (value == ~0UL)
        return -EINVAL;
    while (file->extra > ~1UL - value && !error)
        error = wait_for(file, "an event counter that nobody else can lower");
    if (error)
        return error;
    file->extra += value;
    file_changed(file, POLLIN);
    return 8;
}

static u32 event_poll(struct file *file) {
    return (file->extra ? POLLIN : 0U) | (file->extra < ~1UL ? (u32)POLLOUT : 0U);
}

static const struct file_ops event_ops = {.read = event_read,
                                          .write = event_write,
                                          .seek = anonymous_seek,
                                          .stat = anonymous_stat,
                                          .poll = event_poll};

long sys_eventfd2(long value, long flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE))
        return -EINVAL;
    void *semaphore = flags & EFD_SEMAPHORE ? (void *)1 : NULL;
    struct file *file = file_new(&event_ops, O_RDWR | ((u32)flags & O_NONBLOCK), semaphore);
    if (!file)
        return -ENOMEM;
    file->extra = (u32)value;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

long sys_eventfd(long value) {
    return sys_eventfd2(value, 0);
}
