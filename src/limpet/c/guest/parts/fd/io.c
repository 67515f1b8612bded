/* Reading, writing and the rest of what is done to an open file. */
#include "parts/fd/fd.h"

static long read_file(struct file *file, void *to, u64 size) {
    return file->ops->read ? file->ops->read(file, to, size) : -EINVAL;
}

static long write_file(struct file *file, const void *from, u64 size) {
    return file->ops->write ? file->ops->write(file, from, size) : -EINVAL;
}

/* A negative size is a range beyond the program's memory. */
long sys_read(long fd, long to, long size) {
    struct file *file = fd_get(fd);
    if (!file || !readable(file))
        return -EBADF;
    return size < 0 ? -EFAULT : read_file(file, (void *)to, (u64)size);
}

long sys_write(long fd, long from, long size) {
    struct file *file = fd_get(fd);
    if (!file || !writable(file))
        return -EBADF;
    return size < 0 ? -EFAULT : write_file(file, (const void *)from, (u64)size);
}

long fd_may_pread(const struct file *file) {
    if (!file)
        return -EBADF;
    if (!file->ops->pread && !file->ops->entries)
        return -ESPIPE;
    return readable(file) ? 0 : -EBADF;
}

static long may_pwrite(const struct file *file) {
    if (!file)
        return -EBADF;
    if (!file->ops->pwrite && !file->ops->entries)
        return -ESPIPE;
    return writable(file) ? 0 : -EBADF; /* as no directory is */
}

long fd_pread(long fd, void *to, u64 size, u64 at) {
    struct file *file = fd_use(fd);
    long error = fd_may_pread(file);
    if (error)
        return error;
    return file->ops->pread ? file->ops->pread(file, to, size, at) : -EISDIR;
}

long sys_pread64(long fd, long to, long size, long at) {
    if (at < 0)
        return -EINVAL;
    return size < 0 ? -EFAULT : fd_pread(fd, (void *)to, (u64)size, (u64)at);
}

long sys_pwrite64(long fd, long from, long size, long at) {
    struct file *file = fd_use(fd);
    if (at < 0)
        return -EINVAL;
    long error = may_pwrite(file);
    if (error)
        return error;
    return size < 0 ? -EFAULT : file->ops->pwrite(file, (const void *)from, (u64)size, (u64)at);
}

/* One transfer for each element, ending at the first that comes short: what Linux
 * does for files, and close enough for streams. */
static long vectored(long fd, long vector, long count, long at,
                     long (*one)(long fd, u64 base, u64 size, long at)) {
    const struct linux_iovec *each = (const struct linux_iovec *)vector;
    long total = 0;
    if (count < 0 || count > IOV_MAX)
        return -EINVAL;
    for (; count; count--, each++) {
        if (!each->length)
            continue;
        long done = one(fd, each->base, each->length, at < 0 ? at : at + total);
        if (done < 0)
            return total ? total : done;
        total += done;
        if ((u64)done < each->length)
            break;
    }
    return total;
}

static long read_one(long fd, u64 base, u64 size, long at) {
    return at < 0 ? sys_read(fd, (long)base, (long)size)
                  : sys_pread64(fd, (long)base, (long)size, at);
}

static long write_one(long fd, u64 base, u64 size, long at) {
    return at < 0 ? sys_write(fd, (long)base, (long)size)
                  : sys_pwrite64(fd, (long)base, (long)size, at);
}

long sys_readv(long fd, long vector, long count) {
    const struct file *file = fd_get(fd);
    return file && readable(file) ? vectored(fd, vector, count, -1, read_one) : -EBADF;
}

long sys_writev(long fd, long vector, long count) {
    const struct file *file = fd_get(fd);
    return file && writable(file) ? vectored(fd, vector, count, -1, write_one) : -EBADF;
}

long sys_preadv(long fd, long vector, long count, long at) {
    long error = at < 0 ? -EINVAL : fd_may_pread(fd_use(fd));
    return error ? error : vectored(fd, vector, count, at, read_one);
}

long sys_pwritev(long fd, long vector, long count, long at) {
    long error = at < 0 ? -EINVAL : may_pwrite(fd_use(fd));
    return error ? error : vectored(fd, vector, count, at, write_one);
}

long sys_lseek(long fd, long offset, long whence) {
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    if ((u32)whence > SEEK_HOLE)
        return -EINVAL;
    return file->ops->seek ? file->ops->seek(file, offset, (int)whence) : -ESPIPE;
}

enum { FIOCLEX = 0x5451, FIONCLEX = 0x5450, FIONBIO = 0x5421 };

/* All but FIONBIO. */
long sys_ioctl_kept(long fd, long request, long argument) {
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    switch ((u32)request) {
    case FIOCLEX:
    case FIONCLEX:
        return 0;
    default:
        return file->ops->ioctl ? file->ops->ioctl(file, (u32)request, (u64)argument) : -ENOTTY;
    }
}

long sys_ioctl(long fd, long request, long argument) {
    struct file *file = (u32)request == FIONBIO ? fd_use(fd) : NULL;
    if (!file)
        return sys_ioctl_kept(fd, request, argument);
    u32 wanted = *(s32 *)argument ? O_NONBLOCK : 0;
    file_set_flags(file, (file->flags & ~(u32)O_NONBLOCK) | wanted);
    return 0;
}

long sys_fstat(long fd, long to) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    struct linux_stat stat = {0};
    long error = file->ops->stat(file, &stat);
    if (!error)
        *(struct linux_stat *)to = stat;
    return error;
}

long sys_ftruncate(long fd, long size) {
    struct file *file = fd_use(fd);
    if (size < 0)
        return -EINVAL;
    if (!file)
        return -EBADF;
    if (!writable(file) || !file->ops->truncate)
        return -EINVAL;
    return file->ops->truncate(file, (u64)size);
}

enum { FALLOC_FL_KEEP_SIZE = 1 };

long sys_fallocate(long fd, long mode, long at, long size) {
    struct file *file = fd_use(fd);
    struct linux_stat stat = {0};
    if (!file)
        return -EBADF;
    if (at < 0 || size <= 0)
        return -EINVAL;
    if (mode & ~FALLOC_FL_KEEP_SIZE)
        return -EOPNOTSUPP;
    if (!writable(file))
        return -EBADF;
    file->ops->stat(file, &stat);
    if (!file->ops->truncate)
        return (stat.mode & S_IFMT) == S_IFIFO ? -ESPIPE : -ENODEV;
    u64 end = mode & FALLOC_FL_KEEP_SIZE ? 0 : (u64)at + (u64)size;
    return file->ops->truncate(file, MAX((u64)stat.size, end)); /* a change, whatever the size */
}

/* Files live in memory: what was written is as safe as it gets.  A block device's bytes
 * are the host's to make durable. */
long sys_fsync(long fd) {
    struct file *file = fd_use(fd);
    struct linux_stat stat;
    if (!file)
        return -EBADF;
    if (file->ops->sync)
        return file->ops->sync(file);
    file->ops->stat(file, &stat);
    u32 kind = stat.mode & S_IFMT;
    return kind == S_IFREG || kind == S_IFDIR ? 0 : -EINVAL;
}

long sys_fdatasync(long fd) {
    return sys_fsync(fd);
}

long sys_syncfs(long fd) {
    return fd_use(fd) ? 0 : -EBADF;
}

long sys_sync(void) {
    const struct manifest *devices = (const struct manifest *)guest_info.devices;
    for (u64 i = 1; block_device_ops && i < devices->count; i++) {
        struct file each = {.extra = i};
        if (devices->entries[i].type == DEVICE_BLOCK)
            block_device_ops->sync(&each);
    }
    return 0;
}

long sys_flock(long fd, long operation) {
    (void)operation;
    return sys_syncfs(fd);
}

long sys_fadvise64(long fd, long at, long size, long advice) {
    (void)at, (void)size, (void)advice;
    return sys_syncfs(fd);
}

long sys_getdents64(long fd, long to, long size) {
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    return file->ops->entries ? file->ops->entries(file, (void *)to, (u64)size) : -ENOTDIR;
}

u32 file_poll(struct file *file) {
    return file->ops->poll ? file->ops->poll(file) : POLL_READABLE | POLL_WRITABLE;
}
