/* What an epoll watches. */
#include "parts/poll/epoll.h"

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };
#define EXCLUSIVE_WITH                                                                             \
    (POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define NESTED_MOST 4

static struct epoll *epoll_of(const struct file *file) {
    return file->ops == &epoll_ops ? file->object : NULL;
}

/* How many epolls lie below one another; beyond NESTED_MOST, or with `above` among them, too
 * many.  `level` bounds the search as well. */
static int depth_below(const struct epoll *epoll, const struct epoll *above, int level) {
    int most = 0;
    for (const struct item *each = epoll->looked_at; each && most <= NESTED_MOST;
         each = each->next) {
        const struct epoll *inner = epoll_of(each->watcher.file);
        if (!inner)
            continue;
        if (inner == above || level > NESTED_MOST)
            return NESTED_MOST + 1;
        most = MAX(most, depth_below(inner, above, level + 1) + 1);
    }
    return most;
}

static int depth_above(const struct epoll *epoll, int level) {
    int most = 0;
    for (const struct watcher *each = epoll->file->watchers; each && level <= NESTED_MOST;
         each = each->next)
        if (each->told == epoll_told)
            most = MAX(most, depth_above(((const struct item *)each)->epoll, level + 1) + 1);
    return most;
}

static long may_nest(const struct epoll *into, const struct epoll *inner) {
    int below = depth_below(inner, into, 0);
    return below + 1 + depth_above(into, 0) > NESTED_MOST ? -ELOOP : 0;
}

/* The same descriptor of another file, after a close, is another item. */
static struct item *find(const struct epoll *epoll, const struct file *file, s32 fd) {
    for (struct watcher *each = file->watchers; each; each = each->next) {
        struct item *item = (struct item *)each;
        if (each->told == epoll_told && item->epoll == epoll && item->fd == fd)
            return item;
    }
    return NULL;
}

/* A thread that waits for the epoll already waits for the host from now on, if the file does. */
static void look(struct item *item) {
    bool ready = epoll_item_ready(item);
    item->reported = false;
    if (ready)
        epoll_list(item);
    if (ready || awaited(item->watcher.file, item->events))
        file_changed(item->epoll->file, POLLIN);
}

static long add(struct epoll *epoll, struct file *file, s32 fd, const struct epoll_event *event) {
    struct item *item = heap_alloc(sizeof *item);
    if (!item)
        return -ENOMEM;
    *item = (struct item){.watcher = {.file = file, .told = epoll_told},
                          .epoll = epoll,
                          .fd = fd,
                          .events = event->events | POLLERR | POLLHUP,
                          .data = event->data};
    epoll_add(item);
    look(item);
    return 0;
}

static long change(struct item *item, const struct epoll_event *event) {
    if (item->events & EPOLLEXCLUSIVE)
        return -EINVAL;
    item->events = event->events | POLLERR | POLLHUP;
    item->data = event->data;
    look(item);
    return 0;
}

static long may_control(const struct file *epoll, const struct file *file, long operation,
                        u32 events) {
    if (!epoll || !file)
        return -EBADF;
    if (!file->ops->poll)
        return -EPERM;
    if (epoll == file || !epoll_of(epoll))
        return -EINVAL;
    bool exclusive = operation != EPOLL_CTL_DEL && events & EPOLLEXCLUSIVE;
    if (exclusive && operation == EPOLL_CTL_MOD)
        return -EINVAL;
    if (exclusive && operation == EPOLL_CTL_ADD && (epoll_of(file) || events & ~EXCLUSIVE_WITH))
        return -EINVAL;
    if (operation == EPOLL_CTL_ADD && epoll_of(file))
        return may_nest(epoll_of(epoll), epoll_of(file));
    return 0;
}

long sys_epoll_ctl(long into, long operation, long fd, long from) {
    struct epoll_event event = {0};
    operation = (s32)operation;
    if (operation != EPOLL_CTL_DEL)
        memcpy(&event, (const void *)from, sizeof event);
    struct file *outer = fd_use((s32)into), *file = fd_use((s32)fd);
    long error = may_control(outer, file, operation, event.events);
    if (error)
        return error;
    struct epoll *epoll = outer->object;
    struct item *known = find(epoll, file, (s32)fd);
    switch (operation) {
    case EPOLL_CTL_ADD:
        return known ? -EEXIST : add(epoll, file, (s32)fd, &event);
    case EPOLL_CTL_MOD:
        return known ? change(known, &event) : -ENOENT;
    case EPOLL_CTL_DEL:
        if (!known)
            return -ENOENT;
        epoll_remove(known);
        return 0;
    default:
        return -EINVAL;
    }
}
