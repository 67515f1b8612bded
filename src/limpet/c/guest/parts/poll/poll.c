/* Waiting for descriptors: poll, select and epoll over everything that exists. */
#include "core/park.h"
#include "parts/fd/fd.h"

struct pollfd {
    s32 fd;
    u16 events, ready;
};

/* What can become ready while the program sleeps: standard input, and networks. */
static u64 awaited(const struct file *file, u32 events) {
    return file->ops->awaited && events & POLLIN ? file->ops->awaited(file) : 0;
}

/* One kind of list of descriptors: `look` counts those that are ready, and adds to `want`
 * what it would wait for. */
struct watch {
    long (*look)(struct watch *watch, u64 *want);
    void *list;
    u64 count;
    struct epoll_event *events;
};

/* Look until something is ready, the time is over, or a signal comes.
 * `timeout`: nanoseconds, 0 to look once, FOREVER. */
static long watch_for(struct watch *watch, s64 timeout) {
    struct waiting waits = {.deadline = FOREVER,
                            .on = EVERYTHING,
                            .what = "descriptors of which none can ever become ready"};
    if (timeout > 0)
        waits.deadline = deadline_after(clock_monotonic(), timeout);
    for (bool last = !timeout;;) {
        waits.want = 0;
        long ready = watch->look(watch, &waits.want);
        if (ready || last)
            return ready;
        long woken = park(&waits);
        if (woken == -EINTR)
            return woken;
        last = woken == -ETIMEDOUT;
    }
}

static long look_at_all(struct watch *watch, u64 *want) {
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

static long poll_all(struct pollfd *fds, u64 count, s64 timeout) {
    struct watch watch = {.look = look_at_all, .list = fds, .count = count};
    return watch_for(&watch, timeout);
}

static s64 timeout_in(long milliseconds) {
    return (s32)milliseconds < 0 ? FOREVER : (s32)milliseconds * 1000000L;
}

long sys_poll(long fds, long count, long milliseconds) {
    if ((u64)count > FD_MAX)
        return -EINVAL;
    return poll_all((struct pollfd *)fds, (u64)count, timeout_in(milliseconds));
}

static long timeout_of(long timespec, s64 *timeout) {
    const struct linux_timespec *time = (const struct linux_timespec *)timespec;
    *timeout = FOREVER;
    if (!time)
        return 0;
    *timeout = time_to_wait(time);
    return *timeout < 0 ? -EINVAL : 0;
}

long sys_ppoll(long fds, long count, long time, long mask, long size) {
    s64 timeout;
    (void)mask, (void)size; /* no signal comes from outside while it waits */
    long error = (u64)count > FD_MAX ? -EINVAL : timeout_of(time, &timeout);
    return error ? error : poll_all((struct pollfd *)fds, (u64)count, timeout);
}

#define SETS 3
#define WORDS (FD_MAX / 64)

static bool in_set(const u64 *set, long fd) {
    return set && set[fd / 64] >> fd % 64 & 1;
}

static const u32 set_events[SETS] = {POLLIN, POLLOUT, POLLPRI};
static const u32 set_results[SETS] = {POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI};

static long select_all(long count, u64 *const sets[SETS], s64 timeout) {
    struct pollfd *fds = heap_alloc((u64)count * sizeof *fds + 1);
    u64 used = 0;
    if (!fds)
        return -ENOMEM;
    for (long fd = 0; fd < count; fd++) {
        u32 events = 0;
        for (int i = 0; i < SETS; i++)
            events |= in_set(sets[i], fd) ? set_events[i] : 0;
        if (events)
            fds[used++] = (struct pollfd){.fd = (s32)fd, .events = (u16)events};
    }
    long result = poll_all(fds, used, timeout);
    for (u64 i = 0; result >= 0 && i < used; i++)
        if (fds[i].ready & POLLNVAL)
            result = -EBADF;
    if (result >= 0) {
        result = 0;
        for (int i = 0; i < SETS; i++)
            if (sets[i])
                memset(sets[i], 0, (u64)(count + 63) / 64 * 8);
        for (u64 each = 0; each < used; each++)
            for (int i = 0; i < SETS; i++)
                if ((u32)fds[each].events & set_events[i] &&
                    (u32)fds[each].ready & set_results[i]) {
                    sets[i][fds[each].fd / 64] |= 1UL << fds[each].fd % 64;
                    result++;
                }
    }
    heap_free(fds);
    return result;
}

long sys_pselect6(long count, long readers, long writers, long others, long time, long mask) {
    s64 timeout;
    (void)mask;
    u64 *const sets[SETS] = {(u64 *)readers, (u64 *)writers, (u64 *)others};
    long error = count < 0 ? -EINVAL : timeout_of(time, &timeout);
    return error ? error : select_all(MIN(count, FD_MAX), sets, timeout);
}

long sys_select(long count, long readers, long writers, long others, long time) {
    const struct linux_timeval *given = (const struct linux_timeval *)time;
    struct linux_timespec exact;
    if (given)
        exact =
            (struct linux_timespec){MIN(given->seconds, 1L << 32) + given->microseconds / 1000000,
                                    given->microseconds % 1000000 * 1000};
    return sys_pselect6(count, readers, writers, others, given ? (long)&exact : 0, 0);
}

/* epoll, level-triggered: a list of interests that is scanned like poll's. */
struct interest {
    s32 fd;
    u32 events;
    u64 data;
};

struct interests {
    u64 count;
    struct interest each[128];
};

struct epoll_event {
    u32 events;
    u64 data;
} __attribute__((packed));

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };
#define EPOLLONESHOT (1U << 30)
#define EPOLL_EVENTS 0xffffU

static void epoll_release(struct file *file) {
    heap_free(file->object);
}

static long epoll_stat(struct file *file, struct linux_stat *to) {
    *to = (struct linux_stat){.dev = 3, .ino = (u64)file, .nlink = 1, .mode = 0600};
    return 0;
}

static const struct file_ops epoll_ops = {.stat = epoll_stat, .release = epoll_release};

long sys_epoll_create1(long flags) {
    struct interests *list = heap_alloc(sizeof *list);
    struct file *file = list ? file_new(&epoll_ops, O_RDWR, list) : NULL;
    if (!file) {
        heap_free(list);
        return -ENOMEM;
    }
    return fd_install(file, 0, flags & O_CLOEXEC);
}

long sys_epoll_create(long size) {
    return size > 0 ? sys_epoll_create1(0) : -EINVAL;
}

static struct interest *interest_in(struct interests *list, s32 fd) {
    for (u64 i = 0; i < list->count; i++)
        if (list->each[i].fd == fd)
            return &list->each[i];
    return NULL;
}

long sys_epoll_ctl(long epoll, long operation, long fd, long event) {
    struct file *file = fd_get(epoll);
    struct epoll_event wanted = {0};
    if (!file || !fd_use(fd))
        return -EBADF;
    if (file->ops != &epoll_ops || fd_get(fd) == file)
        return -EINVAL;
    if (operation != EPOLL_CTL_DEL)
        memcpy(&wanted, (const void *)event, sizeof wanted);
    struct interests *list = file->object;
    struct interest *known = interest_in(list, (s32)fd);
    if (operation == EPOLL_CTL_ADD) {
        if (known)
            return -EEXIST;
        if (list->count == COUNT(list->each))
            return -ENOSPC;
        list->each[list->count++] = (struct interest){(s32)fd, wanted.events, wanted.data};
        return 0;
    }
    if (!known)
        return -ENOENT;
    if (operation == EPOLL_CTL_MOD)
        *known = (struct interest){(s32)fd, wanted.events, wanted.data};
    else if (operation == EPOLL_CTL_DEL)
        *known = list->each[--list->count];
    else
        return -EINVAL;
    return 0;
}

static long look_at_interests(struct watch *watch, u64 *want) {
    struct interests *list = watch->list;
    u64 ready = 0;
    for (u64 i = 0; i < list->count && ready < watch->count; i++) {
        struct interest *each = &list->each[i];
        struct file *file = fd_get(each->fd);
        u32 wanted = each->events & EPOLL_EVENTS;
        if (!file || !wanted)
            continue;
        u32 got = file_poll(file) & (wanted | POLLERR | POLLHUP);
        *want |= awaited(file, wanted);
        if (!got)
            continue;
        struct epoll_event event = {got, each->data};
        memcpy(&watch->events[ready++], &event, sizeof event);
        if (each->events & EPOLLONESHOT)
            each->events = 0;
    }
    return (long)ready;
}

long sys_epoll_wait(long epoll, long events, long most, long milliseconds) {
    struct file *file = fd_get(epoll);
    if (!file)
        return -EBADF;
    if (file->ops != &epoll_ops || most <= 0)
        return -EINVAL;
    struct watch watch = {.look = look_at_interests,
                          .list = file->object,
                          .count = (u64)most,
                          .events = (struct epoll_event *)events};
    return watch_for(&watch, timeout_in(milliseconds));
}

long sys_epoll_pwait(long epoll, long events, long most, long milliseconds, long mask) {
    (void)mask;
    return sys_epoll_wait(epoll, events, most, milliseconds);
}
