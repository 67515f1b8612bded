/* The descriptor table.  Descriptors 0 to 2 are the console, from the start. */
#include "core/park.h"
#include "core/thread.h"
#include "parts/fd/fd.h"

static struct file consoles[3];
/* Behind all small data and before what is large: its first entries are in a page that every
 * guest touches. */
static __attribute__((section(".bss..table"))) struct file *first_table[FD_USUAL];
static LARGE u8 first_on_exec[FD_USUAL];
static struct file **table; /* the first one, or a larger one (more.c) */
static u8 *close_on_exec;
static u32 taken_below; /* no lower descriptor is free */

/* Once: a copy in each of its callers would cost a small program a page. */
static __attribute__((noinline)) void start(void) {
    table = first_table, close_on_exec = first_on_exec;
    for (u64 fd = 0; fd < 3; fd++) {
        if (!boot_info.stdio[fd].mode)
            continue; /* closed on the host too */
        consoles[fd] = (struct file){
            .ops = &console_ops, .references = 1, .flags = O_RDWR | O_LARGEFILE, .extra = fd};
        table[fd] = &consoles[fd];
    }
}

s32 fd_cut;
u32 fd_more;
long (*fd_grow)(struct file ***table, u8 **close_on_exec, u32 wanted);
void (*locks_drop)(struct file *file, bool last);

long fd_limit(void) {
    return FD_USUAL - (long)fd_cut;
}

/* There is room for that descriptor, which is within the limit. */
static long make_room(long fd) {
    return fd < fd_end() ? 0 : fd_grow(&table, &close_on_exec, (u32)fd + 1);
}

/* Descriptors are 32 bits: what stands above them does not count. */
struct file *fd_get(long fd) {
    if (!table)
        start();
    struct file *file = (u32)fd < fd_end() ? table[(u32)fd] : NULL;
    if (scheduler && file)
        current->used[current->uses++ % COUNT(current->used)] = file;
    return file;
}

struct file *fd_use(long fd) {
    struct file *file = fd_get(fd);
    return file && !(file->flags & O_PATH) ? file : NULL;
}

bool readable(const struct file *file) {
    u32 access = file->flags & O_ACCMODE;
    return (access == O_RDONLY || access == O_RDWR) && !(file->flags & O_PATH);
}

bool writable(const struct file *file) {
    u32 access = file->flags & O_ACCMODE;
    return (access == O_WRONLY || access == O_RDWR) && !(file->flags & O_PATH);
}

struct file *file_new(const struct file_ops *ops, u32 flags, void *object) {
    struct file *file = heap_alloc(sizeof *file);
    if (file)
        file->ops = ops, file->references = 1, file->flags = flags, file->object = object;
    return file;
}

void watcher_join(struct watcher *watcher) {
    struct watcher **first = &watcher->file->watchers;
    watcher->next = *first, watcher->at = first;
    if (*first)
        (*first)->at = &watcher->next;
    *first = watcher;
}

void watcher_leave(struct watcher *watcher) {
    *watcher->at = watcher->next;
    if (watcher->next)
        watcher->next->at = watcher->at;
}

/* Who is told that it is gone takes itself out of the list. */
static void tell(struct file *file, u32 events) {
    for (struct watcher *each = file->watchers, *next; each; each = next) {
        next = each->next;
        each->told(each, events);
    }
}

void file_changed(struct file *file, u32 events) {
    if (threads_listening)
        park_changed(file);
    if (file->watchers)
        tell(file, events);
}

__attribute__((noinline)) void file_release(struct file *file) {
    if (--file->references)
        return;
    tell(file, 0);
    if (locks_drop)
        locks_drop(file, true);
    if (file->ops->release)
        file->ops->release(file);
    if (file < consoles || file >= consoles + COUNT(consoles))
        heap_free(file);
}

long fd_lowest(long lowest) {
    if (!table)
        start();
    bool any = lowest <= (long)taken_below;
    for (long fd = MAX(lowest, (long)taken_below); fd < fd_limit(); fd++) {
        if (fd < fd_end() && table[fd])
            continue;
        if (any)
            taken_below = (u32)fd;
        return fd;
    }
    return -EMFILE;
}

long fd_install(struct file *file, long lowest, bool on_exec) {
    long fd = fd_lowest(lowest);
    long error = fd < 0 ? fd : make_room(fd);
    if (error) {
        file_release(file);
        return error;
    }
    table[fd] = file;
    close_on_exec[fd] = on_exec;
    return fd;
}

/* Whichever descriptor of a file is closed, the process's own locks of it go. */
long sys_close(long fd) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    table[(u32)fd] = NULL;
    taken_below = MIN(taken_below, (u32)fd);
    if (locks_drop && !(file->flags & O_PATH))
        locks_drop(file, false);
    file_release(file);
    return 0;
}

enum { CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4 };

long sys_close_range(long first, long last, long flags) {
    if ((u32)flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    if ((u32)first > (u32)last)
        return -EINVAL;
    for (long fd = (u32)first; fd <= MIN((long)(u32)last, fd_end() - 1); fd++) {
        if (!(flags & CLOSE_RANGE_CLOEXEC))
            sys_close(fd);
        else if (fd_get(fd))
            close_on_exec[fd] = 1;
    }
    return 0;
}

bool fd_on_exec(long fd) {
    return close_on_exec[(u32)fd];
}

void fd_set_on_exec(long fd, bool on_exec) {
    close_on_exec[(u32)fd] = on_exec;
}

long fd_duplicate(long fd, long lowest, bool on_exec) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    if ((u32)lowest >= fd_limit())
        return -EINVAL;
    file->references++;
    return fd_install(file, (u32)lowest, on_exec);
}

long sys_dup(long fd) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    file->references++;
    return fd_install(file, 0, false);
}

static long duplicate_to(long fd, u32 to, bool on_exec) {
    struct file *file = fd_get(fd);
    if (to >= fd_limit() || !file)
        return -EBADF;
    long error = make_room(to);
    if (error)
        return error;
    file->references++;
    sys_close(to);
    table[to] = file;
    close_on_exec[to] = on_exec;
    return to;
}

long sys_dup2(long fd, long to) {
    if ((u32)fd == (u32)to)
        return fd_get(fd) ? (long)(u32)to : -EBADF;
    return duplicate_to(fd, (u32)to, false);
}

long sys_dup3(long fd, long to, long flags) {
    if ((u32)fd == (u32)to || (u32)flags & ~(u32)O_CLOEXEC)
        return -EINVAL;
    return duplicate_to(fd, (u32)to, flags & O_CLOEXEC);
}
