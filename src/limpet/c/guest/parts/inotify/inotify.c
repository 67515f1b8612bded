/* Files watched: inotify(7), for what the program itself does. */
#include "parts/inotify/inotify.h"
#include "core/park.h"

enum { FIONREAD = 0x541b };

static u64 size_of(const struct event *event) {
    return sizeof event->told + event->told.length;
}

static void take(struct watcher_of_files *own, u8 *to) {
    struct event *event = own->first;
    memcpy(to, &event->told, sizeof event->told);
    memcpy(to + sizeof event->told, event->name, event->told.length);
    own->first = event->next;
    if (!own->first)
        own->last = NULL;
    own->count--;
    heap_free(event);
}

static long read(struct file *file, void *to, u64 size) {
    struct watcher_of_files *own = file->object;
    const struct waiting waits = {.deadline = FOREVER,
                                  .what = "a change of files that nobody else can make",
                                  .on = file,
                                  .restarts = true};
    long error = 0;
    u64 done = 0;
    while (!own->first && !error)
        error = file->flags & O_NONBLOCK ? -EAGAIN : park(&waits);
    if (error)
        return error;
    for (u64 next; own->first && (next = size_of(own->first)) <= size - done; done += next)
        take(own, (u8 *)to + done);
    return done ? (long)done : -EINVAL;
}

static u32 poll(struct file *file) {
    const struct watcher_of_files *own = file->object;
    return own->first ? POLL_READABLE : 0;
}

static long control(struct file *file, u64 request, u64 argument) {
    const struct watcher_of_files *own = file->object;
    u64 all = 0;
    if (request != FIONREAD)
        return -ENOTTY;
    for (const struct event *each = own->first; each; each = each->next)
        all += size_of(each);
    *(s32 *)argument = (s32)all;
    return 0;
}

static void forget(struct watch *watch) {
    struct watch **each = &watch->of->watches;
    while (*each != watch)
        each = &(*each)->next;
    *each = watch->next;
    heap_free(watch);
}

void watch_end(struct watch *watch) {
    const struct change nothing = {.name = ""};
    watch_tell(watch->of, watch->wd, IN_IGNORED, &nothing);
    forget(watch);
}

static void release(struct file *file) {
    struct watcher_of_files *own = file->object, **each = &watchers_of_files;
    u8 nowhere[sizeof(struct told) + ALIGN_UP(NAME_MAX + 1, 16)];
    while (*each != own)
        each = &(*each)->next;
    *each = own->next;
    while (own->watches)
        forget(own->watches);
    while (own->first)
        take(own, nowhere);
    heap_free(own);
}

const struct file_ops inotify_ops = {.read = read,
                                     .poll = poll,
                                     .ioctl = control,
                                     .stat = anonymous_stat,
                                     .seek = anonymous_seek,
                                     .release = release};

long sys_inotify_init1(long flags) {
    if ((u32)flags & ~(u32)(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    struct watcher_of_files *own = heap_alloc(sizeof *own);
    struct file *file = own ? file_new(&inotify_ops, (u32)flags & O_NONBLOCK, own) : NULL;
    if (!file) {
        heap_free(own);
        return -ENOMEM;
    }
    own->file = file, own->next = watchers_of_files;
    watchers_of_files = own;
    node_watched = watches_look;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

long sys_inotify_init(void) {
    return sys_inotify_init1(0);
}

static long check(long fd, u32 mask, struct watcher_of_files **own) {
    const u32 flags = IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD |
                      IN_ONESHOT | CHANGED_FOLDER | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED;
    if (!(mask & (IN_ALL_EVENTS | flags)))
        return -EINVAL;
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    if ((mask & IN_MASK_ADD && mask & IN_MASK_CREATE) || file->ops != &inotify_ops)
        return -EINVAL;
    *own = file->object;
    return 0;
}

static long watch_anew(struct watcher_of_files *own, struct node *node, u32 mask) {
    struct watch *watch = heap_alloc(sizeof *watch);
    if (!watch)
        return -ENOMEM;
    *watch = (struct watch){
        .next = own->watches, .of = own, .node = node, .wd = ++own->last_wd, .mask = mask};
    own->watches = watch;
    return watch->wd;
}

long sys_inotify_add_watch(long fd, long path, long mask) {
    struct watcher_of_files *own = NULL;
    struct node *node = NULL;
    u32 kept = (u32)mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
    long error = check(fd, (u32)mask, &own);
    if (!error)
        error = walk_to(AT_FDCWD, (const char *)path, !(mask & IN_DONT_FOLLOW), &node);
    if (!error && mask & IN_ONLYDIR && !is_directory(node))
        error = -ENOTDIR;
    if (!error)
        error = may(node, MAY_READ);
    if (error)
        return error;
    if (is_directory(node))
        directory_load(node);
    for (struct watch *each = own->watches; each; each = each->next)
        if (each->node == node) {
            if (mask & IN_MASK_CREATE)
                return -EEXIST;
            each->mask = mask & IN_MASK_ADD ? each->mask | kept : kept;
            return each->wd;
        }
    return watch_anew(own, node, kept);
}

long sys_inotify_rm_watch(long fd, long wd) {
    struct file *file = fd_use(fd);
    if (!file || file->ops != &inotify_ops)
        return file ? -EINVAL : -EBADF;
    struct watcher_of_files *own = file->object;
    for (struct watch *each = own->watches; each; each = each->next)
        if (each->wd == (s32)wd) {
            watch_end(each);
            return 0;
        }
    return -EINVAL;
}
