/* O_ASYNC: a signal for each time that a pipe or a socket may have become ready (fcntl(2)). */
#include "core/signals.h"
#include "parts/fd/fd.h"

enum { POLL_IN = 1, POLL_OUT = 2 }; /* si_code */
enum { OWNER_THREAD = 0 };

struct async {
    struct watcher watcher;
    s32 fd; /* that it was asked for with */
};

u64 told_by_signals;

static bool taken(struct queued *queued, struct linux_siginfo *info) {
    (void)info; /* which is a copy */
    heap_free(queued);
    return true;
}

/* What is told of it only where the program has chosen the signal. */
static struct linux_siginfo info_of(const struct file *file, s32 fd, u32 events) {
    bool in = events & POLLIN && readable(file);
    if (!file->signal)
        return (struct linux_siginfo){.signal = SIGIO, .code = SI_KERNEL};
    struct linux_siginfo info = {.signal = (s32)file->signal, .code = in ? POLL_IN : POLL_OUT};
    info.band = in ? POLL_READABLE : POLL_WRITABLE | POLLWRBAND;
    info.fd = fd;
    return info;
}

static void told(struct watcher *watcher, u32 events) {
    const struct async *own = (const struct async *)watcher;
    const struct file *file = watcher->file;
    bool of_thread = file->owner_kind == OWNER_THREAD && file->owner;
    struct thread *to = of_thread ? thread_of(file->owner) : NULL;
    if (!events) { /* the file goes, and its list with it */
        told_by_signals--;
        heap_free(watcher);
        return;
    }
    if (!file->owner || (of_thread && !to))
        return;
    struct queued *queued = heap_alloc(sizeof *queued);
    const struct linux_siginfo info = info_of(file, own->fd, events);
    if (queued)
        *queued = (struct queued){.info = info, .taken = taken};
    if (!signal_send(to, info.signal, queued))
        heap_free(queued);
}

static bool can_tell(struct file *file) {
    struct linux_stat stat = {0};
    file->ops->stat(file, &stat);
    u32 kind = stat.mode & S_IFMT;
    return kind == S_IFIFO || kind == S_IFSOCK;
}

static void leave(struct file *file) {
    struct watcher *each = file->watchers;
    while (each->told != told)
        each = each->next;
    watcher_leave(each);
    told_by_signals--;
    heap_free(each);
    file->flags &= ~(u32)O_ASYNC;
}

long file_tell_by_signals(struct file *file, long fd, bool wanted) {
    if (wanted == !!(file->flags & O_ASYNC) || !can_tell(file))
        return 0;
    if (!wanted) {
        leave(file);
        return 0;
    }
    struct async *made = heap_alloc(sizeof *made);
    if (!made)
        return -ENOMEM;
    made->watcher = (struct watcher){.file = file, .told = told};
    made->fd = (s32)fd;
    watcher_join(&made->watcher);
    told_by_signals++;
    file->flags |= O_ASYNC;
    return 0;
}
