/* readv, writev and their relatives. */
#include "parts/fd/fd.h"

enum {
    RWF_HIPRI = 1,
    RWF_DSYNC = 2,
    RWF_SYNC = 4,
    RWF_NOWAIT = 8,
    RWF_APPEND = 0x10,
    RWF_NOAPPEND = 0x20
};
#define RWF_TAKEN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND)

/* One transfer for each element, ending at the first that comes short: what Linux
 * does for files, and close enough for streams. */
struct transfer {
    long (*one)(long fd, long memory, long size, long at);
    long fd;
    const struct linux_iovec *each;
    u64 count; /* 32 bits of what the program gave */
    long at;   /* 0 where the file's own position counts */
    u32 flags;
};

long vector_size(const struct linux_iovec *vector, u64 count) {
    u64 total = 0;
    if (count > IOV_MAX)
        return -EINVAL;
    for (u64 i = 0; i < count; i++)
        if ((s64)vector[i].length < 0)
            return -EINVAL;
    for (u64 i = 0; i < count; i++) {
        u64 length = count == 1 ? MIN(vector[i].length, MOST_BYTES) : vector[i].length;
        if (!fd_memory(vector[i].base, length))
            return -EFAULT;
        total = MIN(total + vector[i].length, MOST_BYTES);
    }
    return (long)total;
}

/* Files cannot be asked not to wait; streams can. */
static long check_flags(long fd, u32 flags) {
    struct linux_stat stat = {0};
    struct file *file = fd_get(fd);
    if (flags & ~(u32)RWF_TAKEN)
        return -EOPNOTSUPP;
    file->ops->stat(file, &stat);
    u32 kind = stat.mode & S_IFMT;
    if (flags & RWF_NOWAIT && (kind == S_IFREG || kind == S_IFDIR))
        return -EOPNOTSUPP;
    return (flags & RWF_APPEND) && (flags & RWF_NOAPPEND) ? -EINVAL : 0;
}

static long transfer_all(const struct transfer *transfer) {
    long left = vector_size(transfer->each, transfer->count), total = 0;
    if (left <= 0)
        return left;
    if (transfer->at + left < 0)
        return -EINVAL;
    long error = transfer->flags ? check_flags(transfer->fd, transfer->flags) : 0;
    if (error)
        return error;
    for (const struct linux_iovec *each = transfer->each; left; each++) {
        long size = MIN((long)each->length, left);
        if (!size)
            continue;
        long done = transfer->one(transfer->fd, (long)each->base, size, transfer->at + total);
        if (done < 0)
            return total ? total : done;
        total += done, left -= done;
        if (done < size)
            break;
    }
    return total;
}

static long read_on(long fd, long memory, long size, long at) {
    (void)at;
    return sys_read(fd, memory, size);
}

static long write_on(long fd, long memory, long size, long at) {
    (void)at;
    return sys_write(fd, memory, size);
}

static long may_read(const struct file *file) {
    if (!file || !readable(file))
        return -EBADF;
    return file->ops->read ? 0 : -EINVAL;
}

static long may_write(const struct file *file) {
    if (!file || !writable(file))
        return -EBADF;
    return file->ops->write ? 0 : -EINVAL;
}

#define TRANSFER(one, at, flags)                                                                   \
    transfer_all(&(const struct transfer){one, fd, (const struct linux_iovec *)vector, (u32)count, \
                                          at, (u32)(flags)})

typedef long (*at_once)(struct file *file, const struct linux_iovec *vector, u64 count, u64 size);

static long transfer_at_once(at_once operation, struct file *file, long vector, long count) {
    const struct linux_iovec *each = (const struct linux_iovec *)vector;
    long size = vector_size(each, (u32)count);
    return size < 0 ? size : operation(file, each, (u32)count, (u64)size);
}

long sys_readv(long fd, long vector, long count) {
    struct file *file = fd_get(fd);
    long error = may_read(file);
    if (!error && file->ops->readv)
        return transfer_at_once(file->ops->readv, file, vector, count);
    return error ? error : TRANSFER(read_on, 0, 0);
}

long sys_writev(long fd, long vector, long count) {
    struct file *file = fd_get(fd);
    long error = may_write(file);
    if (!error && file->ops->writev)
        return transfer_at_once(file->ops->writev, file, vector, count);
    return error ? error : TRANSFER(write_on, 0, 0);
}

long sys_preadv(long fd, long vector, long count, long at) {
    long error = at < 0 ? -EINVAL : fd_may_pread(fd_use(fd));
    return error ? error : TRANSFER(sys_pread64, at, 0);
}

long sys_pwritev(long fd, long vector, long count, long at) {
    long error = at < 0 ? -EINVAL : fd_may_pwrite(fd_use(fd));
    return error ? error : TRANSFER(sys_pwrite64, at, 0);
}

/* RWF_APPEND is O_APPEND for one call, RWF_NOAPPEND is none, RWF_NOWAIT is O_NONBLOCK. */
static u32 flags_for_one(const struct file *file, long flags) {
    u32 wanted = file->flags;
    if (flags & RWF_APPEND)
        wanted |= O_APPEND;
    if (flags & RWF_NOAPPEND)
        wanted &= ~(u32)O_APPEND;
    return flags & RWF_NOWAIT ? wanted | O_NONBLOCK : wanted;
}

/* A position of -1 is the file's own. */
long sys_preadv2(long fd, long vector, long count, long at, long high, long flags) {
    struct file *file = fd_use(fd);
    (void)high;
    bool own = at == -1;
    long error = at < -1 ? -EINVAL : own ? may_read(file) : fd_may_pread(file);
    if (error)
        return error;
    u32 before = file->flags;
    file->flags = flags_for_one(file, flags);
    long done = own ? TRANSFER(read_on, 0, flags) : TRANSFER(sys_pread64, at, flags);
    file->flags = before;
    return done;
}

long sys_pwritev2(long fd, long vector, long count, long at, long high, long flags) {
    struct file *file = fd_use(fd);
    (void)high;
    bool own = at == -1;
    long error = at < -1 ? -EINVAL : own ? may_write(file) : fd_may_pwrite(file);
    if (error)
        return error;
    u32 before = file->flags;
    file->flags = flags_for_one(file, flags);
    long done = own ? TRANSFER(write_on, 0, flags) : TRANSFER(sys_pwrite64, at, flags);
    file->flags = before;
    return done;
}
