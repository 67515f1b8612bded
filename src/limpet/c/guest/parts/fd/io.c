/* Reading, writing and the rest of what is done to an open file. */
#include "parts/fd/fd.h"

/* As the kernel checks it: memory that a program could have, whatever is there. */
bool fd_memory(u64 at, u64 size) {
    return at <= USER_END && size <= USER_END - at;
}

/* What comes before the transfer: the memory, then the bytes of the file.  Only `MOST_BYTES`
 * go at once. */
static long check_range(u64 memory, u64 *size, u64 at) {
    if (!fd_memory(memory, *size))
        return -EFAULT;
    if ((s64)*size < 0 || (s64)(at + *size) < 0)
        return -EINVAL;
    *size = MIN(*size, MOST_BYTES);
    return 0;
}

long sys_read(long fd, long to, long size) {
    struct file *file = fd_get(fd);
    u64 length = (u64)size;
    if (!file || !readable(file))
        return -EBADF;
    long error = file->ops->read ? check_range((u64)to, &length, file->position) : -EINVAL;
    return error ? error : file->ops->read(file, (void *)to, length);
}

long sys_write(long fd, long from, long size) {
    struct file *file = fd_get(fd);
    u64 length = (u64)size;
    if (!file || !writable(file))
        return -EBADF;
    long error = file->ops->write ? check_range((u64)from, &length, file->position) : -EINVAL;
    return error ? error : file->ops->write(file, (const void *)from, length);
}

long fd_may_pread(const struct file *file) {
    if (!file)
        return -EBADF;
    if (!file->ops->pread && !file->ops->entries)
        return -ESPIPE;
    return readable(file) ? 0 : -EBADF;
}

long fd_may_pwrite(const struct file *file) {
    if (!file)
        return -EBADF;
    if (!file->ops->pwrite && !file->ops->entries)
        return -ESPIPE;
    return writable(file) ? 0 : -EBADF; /* as no directory is */
}

long sys_pread64(long fd, long to, long size, long at) {
    struct file *file = fd_use(fd);
    u64 length = (u64)size;
    if (at < 0)
        return -EINVAL;
    long error = fd_may_pread(file);
    if (!error)
        error = check_range((u64)to, &length, (u64)at);
    if (error)
        return error;
    return file->ops->pread ? file->ops->pread(file, (void *)to, length, (u64)at) : -EISDIR;
}

long sys_pwrite64(long fd, long from, long size, long at) {
    struct file *file = fd_use(fd);
    u64 length = (u64)size;
    if (at < 0)
        return -EINVAL;
    long error = fd_may_pwrite(file);
    if (!error)
        error = check_range((u64)from, &length, (u64)at);
    return error ? error : file->ops->pwrite(file, (const void *)from, length, (u64)at);
}

long sys_lseek(long fd, long offset, long whence) {
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    if ((u32)whence > SEEK_HOLE)
        return -EINVAL;
    return file->ops->seek ? file->ops->seek(file, offset, (int)whence) : -ESPIPE;
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

u32 file_poll(struct file *file) {
    return file->ops->poll ? file->ops->poll(file) : POLL_READABLE | POLL_WRITABLE;
}
