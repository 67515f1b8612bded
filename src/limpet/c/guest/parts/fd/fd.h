/* Descriptors and open file descriptions: what every kind of file gives to them. */
#ifndef LIMPET_FD_H
#define LIMPET_FD_H

#include "libos.h"
#include "linux.h"

struct file;

/* What mmap asks of a file: bytes of it as memory, at some address or exactly there. */
struct mapping_wish {
    u64 offset, length; /* whole pages */
    u64 at;             /* a hint, unless `fixed` */
    bool shared, fixed;
    bool writes;                       /* it may be written there */
    bool (*in_use)(u64 low, u64 high); /* whether any of that memory is mapped */
    u64 *row; /* only so much of it as lies in a row is wanted, wherever: becomes less; or NULL */
};

/* A missing operation gives the error beside it. */
struct file_ops {
    long (*read)(struct file *file, void *to, u64 size);                   /* EINVAL */
    long (*write)(struct file *file, const void *from, u64 size);          /* EINVAL */
    long (*pread)(struct file *file, void *to, u64 size, u64 at);          /* ESPIPE */
    long (*pwrite)(struct file *file, const void *from, u64 size, u64 at); /* ESPIPE */
    long (*seek)(struct file *file, long offset, int whence);              /* ESPIPE */
    long (*stat)(struct file *file, struct linux_stat *to);
    long (*ioctl)(struct file *file, u64 request, u64 argument);    /* ENOTTY */
    long (*control)(struct file *file, u32 command, long argument); /* EINVAL: fcntl */
    long (*truncate)(struct file *file, u64 size);                  /* EINVAL */
    long (*entries)(struct file *file, void *to, u64 size);         /* ENOTDIR: getdents64 */
    u32 (*poll)(struct file *file);                                 /* always ready */
    u64 (*awaited)(const struct file *file);                        /* 0: bits for hypercall_wait */
    long (*sync)(struct file *file);                                /* by kind of file */
    /* ENODEV.  The address of memory that is the file itself; 0: a copy will do. */
    long (*map)(struct file *file, const struct mapping_wish *wish);
    long (*fill)(struct file *file, void *to, u64 size, u64 at); /* that copy */
    void (*unmap)(struct file *file, u64 offset, u64 length);    /* no more in use */
    void (*release)(struct file *file);
    /* Bytes from there on that never change, at most *size; NULL: they have to be read. */
    const u8 *(*view)(struct file *file, u64 at, u64 *size);
    /* Of a vector at once, `size` bytes in all; otherwise one element after the other. */
    long (*readv)(struct file *file, const struct linux_iovec *vector, u64 count, u64 size);
    long (*writev)(struct file *file, const struct linux_iovec *vector, u64 count, u64 size);
    bool told; /* what the host makes ready is told (file_changed): nobody has to look at it */
};

struct file {
    const struct file_ops *ops;
    u32 references;
    u32 flags; /* O_* as open took them */
    u64 position;
    void *object;       /* node, pipe, ... of the kind */
    struct node *named; /* what has the name of an open named pipe */
    u64 extra;
    struct watcher *watchers;
    u64 reads;             /* of one that the host makes ready: each may have made it unready */
    s32 owner, owner_kind; /* F_SETOWN_EX */
    u32 signal;            /* F_SETSIG */
};

/* Who is told when a file may have become ready, until it is gone (parts/poll). */
struct watcher {
    struct file *file;
    struct watcher *next, **at;                        /* of the file; what leads to this one */
    void (*told)(struct watcher *watcher, u32 events); /* 0: it is gone */
};
void watcher_join(struct watcher *watcher);
void watcher_leave(struct watcher *watcher);

/* It may be ready for these, ANYTHING where nobody knows: who waits for it looks again. */
void file_changed(struct file *file, u32 events);
#define ANYTHING (~0U)

struct file *fd_get(long fd); /* NULL: EBADF */
struct file *fd_use(long fd); /* the same, and NULL for an O_PATH one */
struct file *file_new(const struct file_ops *ops, u32 flags, void *object);
void file_release(struct file *file);
long fd_lowest(long lowest); /* the lowest free one from there, or -EMFILE */
long fd_install(struct file *file, long lowest, bool close_on_exec); /* takes the reference */
long fd_duplicate(long fd, long lowest, bool close_on_exec);
bool fd_on_exec(long fd);
void fd_set_on_exec(long fd, bool close_on_exec);
long sys_read(long fd, long to, long size);
long sys_write(long fd, long from, long size);
long sys_pread64(long fd, long to, long size, long at);
long sys_pwrite64(long fd, long from, long size, long at);
long fd_may_pread(const struct file *file); /* 0, or why not */
long fd_may_pwrite(const struct file *file);
bool fd_memory(u64 at, u64 size); /* could be the program's: otherwise EFAULT */
long sys_readv(long fd, long vector, long count);
long vector_size(const struct linux_iovec *vector, u64 count); /* of all elements; or an error */
u32 file_poll(struct file *file);
long file_tell_by_signals(struct file *file, long fd, bool wanted); /* async.c */
extern u64 told_by_signals;                                         /* so many files */
bool readable(const struct file *file);
bool writable(const struct file *file);

/* Of what is no file: an event counter, a timer, a set of signals or of descriptors. */
long anonymous_stat(struct file *file, struct linux_stat *to);
long anonymous_seek(struct file *file, long offset, int whence);

/* parts/console; the second is for a console with O_NONBLOCK, which asks before it reads. */
extern const struct file_ops console_ops, console_nonblocking_ops;

#define FD_USUAL 1024 /* descriptors that are below the limit, until the program raises it */
#define FD_MAX 65536  /* to at most this, as Linux has a soft and a hard one */
#define MOST_BYTES 0x7ffff000UL /* that one call reads or writes */

/* What limits leave out, so that zero is what is usual: RLIMIT_NOFILE lets FD_USUAL less `fd_cut`
 * be open, RLIMIT_FSIZE is ~`file_size_cut`. */
extern s32 fd_cut;
extern u64 file_size_cut;
long fd_limit(void); /* descriptors are below it */

/* Set by whoever raises the limit (more.c): a table of that many at least.  0, or -ENOMEM. */
extern long (*fd_grow)(struct file ***table, u8 **close_on_exec, u32 wanted);
long fd_larger_table(struct file ***table, u8 **close_on_exec, u32 wanted);
extern u32 fd_more; /* descriptors that the table has room for beyond FD_USUAL */
static inline long fd_end(void) {
    return FD_USUAL + (long)fd_more;
}

/* Set by whoever takes the first lock: a descriptor of `file` is closed, or its last one. */
extern void (*locks_drop)(struct file *file, bool last);

/* What stat tells of the host's terminal, as of /dev/pts/0, and of another device there. */
#define PTS_DEVICE 0x17UL
#define PTS_INODE 3UL
#define PTS_NUMBER 0x8800UL
#define NULL_NUMBER 0x103UL

#endif
