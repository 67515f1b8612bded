#include "parts/poll/epoll.h"

void epoll_list(struct item *item) {
    struct epoll *epoll = item->epoll;
    if (item->listed)
        return;
    item->listed = true;
    item->next_ready = NULL, item->previous_ready = epoll->last;
    if (epoll->last)
        epoll->last->next_ready = item;
    else
        epoll->first = item;
    epoll->last = item;
}

static void unlist(struct item *item) {
    struct epoll *epoll = item->epoll;
    struct item *before = item->previous_ready, *behind = item->next_ready;
    if (!item->listed)
        return;
    if (before)
        before->next_ready = behind;
    else
        epoll->first = behind;
    if (behind)
        behind->previous_ready = before;
    else
        epoll->last = before;
    item->listed = false;
}

struct item *epoll_unlist_first(struct epoll *epoll) {
    struct item *item = epoll->first;
    if (item)
        unlist(item);
    return item;
}

void epoll_weigh(struct item *item) {
    const struct file *file = item->watcher.file;
    bool of_host = file->ops->told && file->ops->awaited && file->ops->awaited(file);
    item->epoll->of_host += (u64)of_host - (u64)item->of_host;
    item->of_host = of_host;
}

void epoll_add(struct item *item) {
    const struct file_ops *ops = item->watcher.file->ops;
    struct epoll *epoll = item->epoll;
    struct item **first = ops->awaited && !ops->told ? &epoll->looked_at : &epoll->items;
    item->next = *first, item->at = first;
    if (*first)
        (*first)->at = &item->next;
    *first = item;
    watcher_join(&item->watcher);
    epoll_weigh(item);
}

/* From its file, its epoll and the list of the ready. */
void epoll_remove(struct item *item) {
    *item->at = item->next;
    if (item->next)
        item->next->at = item->at;
    watcher_leave(&item->watcher);
    item->epoll->of_host -= item->of_host;
    unlist(item);
    heap_free(item);
}

/* A file has changed: who waits for the epoll, another epoll perhaps, hears of it. */
void epoll_told(struct watcher *watcher, u32 events) {
    struct item *item = (struct item *)watcher;
    if (!events) {
        epoll_remove(item);
        return;
    }
    if (events == ANYTHING)
        epoll_weigh(item);
    if (!(item->events & ~EPOLL_PRIVATE) || !(events & item->events))
        return;
    epoll_list(item);
    file_changed(item->epoll->file, POLLIN);
}

u32 epoll_item_ready(const struct item *item) {
    return file_poll(item->watcher.file) & item->events;
}

static bool outside(const struct item *item) {
    return awaited(item->watcher.file, item->events) & ~WANT_SOCKETS;
}

/* An edge of such a file: it is ready, and was read since it was reported, or was unready. */
void epoll_look_outside(struct epoll *epoll) {
    for (struct item *each = epoll->looked_at; each; each = each->next) {
        if (!outside(each) || each->listed || !(each->events & ~EPOLL_PRIVATE))
            continue;
        bool ready = epoll_item_ready(each);
        if (!ready)
            each->reported = false;
        else if (!each->reported || each->reads != each->watcher.file->reads ||
                 !(each->events & EPOLLET))
            epoll_list(each);
    }
}

/* What comes first and is not ready after all leaves the list, as on Linux. */
u32 epoll_poll(struct epoll *epoll) {
    epoll_look_outside(epoll);
    while (epoll->first) {
        if (epoll_item_ready(epoll->first))
            return POLL_READABLE;
        epoll_unlist_first(epoll);
    }
    return 0;
}

/* By a pointer: it leads to whatever can be polled, which part.toml says of who makes one. */
static u32 poll_file(struct file *file) {
    struct epoll *epoll = file->object;
    return epoll->poll(epoll);
}

static u64 await(const struct file *file) {
    const struct epoll *epoll = file->object;
    u64 want = epoll->of_host ? WANT_SOCKETS : 0;
    for (const struct item *each = epoll->looked_at; each; each = each->next)
        want |= awaited(each->watcher.file, each->events);
    return want;
}

static long ioctl(struct file *file, u64 request, u64 argument) {
    (void)file, (void)request, (void)argument;
    return -EINVAL; /* where others give ENOTTY */
}

static void release(struct file *file) {
    struct epoll *epoll = file->object;
    while (epoll->items)
        epoll_remove(epoll->items);
    while (epoll->looked_at)
        epoll_remove(epoll->looked_at);
    heap_free(epoll);
}

const struct file_ops epoll_ops = {.seek = anonymous_seek,
                                   .stat = anonymous_stat,
                                   .ioctl = ioctl,
                                   .poll = poll_file,
                                   .awaited = await,
                                   .release = release};

long sys_epoll_create1(long flags) {
    if (flags & ~O_CLOEXEC)
        return -EINVAL;
    struct epoll *epoll = heap_alloc(sizeof *epoll);
    struct file *file = epoll ? file_new(&epoll_ops, O_RDWR, epoll) : NULL;
    if (!file) {
        heap_free(epoll);
        return -ENOMEM;
    }
    epoll->file = file;
    epoll->poll = epoll_poll;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

long sys_epoll_create(long size) {
    return (s32)size > 0 ? sys_epoll_create1(0) : -EINVAL;
}
