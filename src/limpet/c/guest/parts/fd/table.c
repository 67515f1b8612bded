/* The descriptor table.  Descriptors 0 to 2 are the console, from the start. */
#include "core/park.h"
#include "parts/fd/fd.h"

static struct file consoles[3];
/* Behind all small data and before what is large: its first entries are in a page that every
 * guest touches. */
static __attribute__((section(".bss..table"))) struct file *table[FD_MAX];
static u8 close_on_exec[FD_MAX];
static bool started;

static void start(void) {
    started = true;
    for (u64 fd = 0; fd < 3; fd++) {
        if (!boot_info.stdio[fd].mode)
            continue; /* closed on the host too */
        consoles[fd] = (struct file){
            .ops = &console_ops, .references = 1, .flags = O_RDWR | O_LARGEFILE, .extra = fd};
        table[fd] = &consoles[fd];
    }
}

struct file *fd_get(long fd) {
    if (!started)
        start();
    return (u64)fd < FD_MAX ? table[fd] : NULL;
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
        *file = (struct file){.ops = ops, .references = 1, .flags = flags, .object = object};
    return file;
}

/* Who is told that it is gone takes itself out of the list. */
static void tell(struct file *file, u32 events) {
    for (struct watcher *each = file->watchers, *next; each; each = next) {
        next = each->next;
        each->told(each, events);
    }
}

void file_changed(struct file *file, u32 events) {
    park_changed(file);
    tell(file, events);
}

void file_release(struct file *file) {
    if (--file->references)
        return;
    tell(file, 0);
    if (file->ops->release)
        file->ops->release(file);
    if (file < consoles || file >= consoles + COUNT(consoles))
        heap_free(file);
}

long fd_install(struct file *file, long lowest, bool on_exec) {
    fd_get(0);
    for (long fd = lowest; fd < FD_MAX; fd++) {
        if (table[fd])
            continue;
        table[fd] = file;
        close_on_exec[fd] = on_exec;
        return fd;
    }
    file_release(file);
    return -EMFILE;
}

long sys_close(long fd) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    table[fd] = NULL;
    file_release(file);
    return 0;
}

long sys_close_range(long first, long last, long flags) {
    if ((u32)first > (u32)last)
        return -EINVAL;
    for (long fd = (u32)first; fd <= MIN((long)(u32)last, FD_MAX - 1); fd++) {
        if (flags & 4) /* CLOSE_RANGE_CLOEXEC */
            close_on_exec[fd] = 1;
        else
            sys_close(fd);
    }
    return 0;
}

static long duplicate(long fd, long lowest, bool on_exec) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    if ((u64)lowest >= FD_MAX)
        return -EINVAL;
    file->references++;
    return fd_install(file, lowest, on_exec);
}

long sys_dup(long fd) {
    return duplicate(fd, 0, false);
}

static long duplicate_to(long fd, long to, bool on_exec) {
    struct file *file = fd_get(fd);
    if (!file || (u64)to >= FD_MAX)
        return -EBADF;
    file->references++;
    sys_close(to);
    table[to] = file;
    close_on_exec[to] = on_exec;
    return to;
}

long sys_dup2(long fd, long to) {
    if (fd == to)
        return fd_get(fd) ? to : -EBADF;
    return duplicate_to(fd, to, false);
}

long sys_dup3(long fd, long to, long flags) {
    if (fd == to || flags & ~O_CLOEXEC)
        return -EINVAL;
    return duplicate_to(fd, to, flags & O_CLOEXEC);
}

enum {
    F_DUPFD = 0,
    F_GETFD = 1,
    F_SETFD = 2,
    F_GETFL = 3,
    F_SETFL = 4,
    F_GETLK = 5,
    F_SETLK = 6,
    F_SETLKW = 7,
    F_SETOWN = 8,
    F_GETOWN = 9,
    F_OFD_GETLK = 36,
    F_OFD_SETLK = 37,
    F_OFD_SETLKW = 38,
    F_DUPFD_CLOEXEC = 1030,
    F_SETPIPE_SZ = 1031,
    F_GETPIPE_SZ = 1032,
    F_UNLCK = 2
};

#define SETTABLE (O_APPEND | O_NONBLOCK)

void file_set_flags(struct file *file, u32 flags) {
    file->flags = (file->flags & ~(u32)SETTABLE) | (flags & SETTABLE);
    if (file->ops == &console_ops || file->ops == &console_nonblocking_ops)
        file->ops = flags & O_NONBLOCK ? &console_nonblocking_ops : &console_ops;
}

/* All but F_SETFL.  Locks always succeed: nobody else could hold one. */
long sys_fcntl_kept(long fd, long command, long argument) {
    struct file *file = fd_get(fd);
    if (!file || (file->flags & O_PATH && (u64)command > F_GETFL && command != F_DUPFD_CLOEXEC))
        return -EBADF;
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return duplicate(fd, argument, command == F_DUPFD_CLOEXEC);
    case F_GETFD:
        return close_on_exec[fd];
    case F_SETFD:
        close_on_exec[fd] = argument & 1;
        return 0;
    case F_GETFL:
        return file->flags & ~(u32)(O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC);
    case F_GETLK:
    case F_OFD_GETLK:
        *(u16 *)argument = F_UNLCK;
        return 0;
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
    case F_SETOWN:
    case F_GETOWN:
        return 0;
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ:
        return file->ops->control ? file->ops->control(file, command, argument) : -EBADF;
    default:
        return -EINVAL;
    }
}

long sys_fcntl(long fd, long command, long argument) {
    struct file *file = command == F_SETFL ? fd_use(fd) : NULL;
    if (!file)
        return sys_fcntl_kept(fd, command, argument);
    file_set_flags(file, (u32)argument);
    return 0;
}
