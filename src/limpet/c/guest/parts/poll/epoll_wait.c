/* Waiting for what an epoll watches. */
#include "core/signals.h"
#include "parts/poll/epoll.h"

#define EVENTS_MOST (0x7fffffffL / (long)sizeof(struct epoll_event))

static bool report(struct item *item, struct epoll_event *to) {
    u32 ready = epoll_item_ready(item);
    if (!ready)
        return false;
    struct epoll_event event = {ready, item->data};
    memcpy(to, &event, sizeof event);
    item->reported = true, item->reads = item->watcher.file->reads;
    if (item->events & EPOLLONESHOT)
        item->events &= EPOLL_PRIVATE;
    return true;
}

/* Each that is listed once.  Level-triggered ones go back to the end of the list; what there is
 * no room for comes first the next time. */
static long look_at_items(struct watch *watch, u64 *want) {
    struct epoll *epoll = watch->list;
    u64 ready = 0;
    epoll_look_outside(epoll);
    *want |= epoll->file->ops->awaited(epoll->file);
    if (epoll->first && *want & WANT_SOCKETS && !watch->asked)
        glance(STALE_SOME);
    struct item *last = epoll->last, *item = last;
    for (bool more = last; more && ready < watch->count; more = item != last) {
        item = epoll->first;
        /* Written before the list changes: a bad address leaves it as it is. */
        bool reported = report(item, &watch->events[ready]);
        epoll_unlist_first(epoll);
        if (reported && !(item->events & (EPOLLET | EPOLLONESHOT)))
            epoll_list(item);
        ready += reported;
    }
    return (long)ready;
}

static long wait_on(long on, long events, long most, s64 timeout) {
    const struct file *file = fd_use((s32)on);
    if (!file)
        return -EBADF;
    if ((s32)most <= 0 || (s32)most > EVENTS_MOST || file->ops != &epoll_ops)
        return -EINVAL;
    struct watch watch = {.look = look_at_items,
                          .list = file->object,
                          .count = (u64)(s32)most,
                          .events = (struct epoll_event *)events,
                          .on = file,
                          .unhurried = true};
    return watch_for(&watch, timeout);
}

long sys_epoll_wait(long epoll, long events, long most, long milliseconds) {
    return wait_on(epoll, events, most, timeout_in(milliseconds));
}

long sys_epoll_pwait(long epoll, long events, long most, long milliseconds, long mask, long size) {
    long error = watch_mask((const u64 *)mask, size);
    return error ? error
                 : signals_after_wait(wait_on(epoll, events, most, timeout_in(milliseconds)));
}

long sys_epoll_pwait2(long epoll, long events, long most, long time, long mask, long size) {
    s64 timeout;
    long error = timeout_of((const struct linux_timespec *)time, &timeout);
    if (!error)
        error = watch_mask((const u64 *)mask, size);
    return error ? error : signals_after_wait(wait_on(epoll, events, most, timeout));
}
