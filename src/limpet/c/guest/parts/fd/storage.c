/* Where the bytes of a file are kept: its size, and when they are safe. */
#include "parts/files/node.h"

static u32 kind_of(struct file *file) {
    struct linux_stat stat = {0};
    file->ops->stat(file, &stat);
    return stat.mode & S_IFMT;
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

/* Files live in memory: what was written is as safe as it gets.  A block device's bytes
 * are the host's to make durable. */
long sys_fsync(long fd) {
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    if (file->ops->sync)
        return file->ops->sync(file);
    u32 kind = kind_of(file);
    return kind == S_IFREG || kind == S_IFDIR ? 0 : -EINVAL;
}

long sys_fdatasync(long fd) {
    struct file *file = fd_use(fd);
    if (file && of_volume(file))
        return guest_volumes->set(file, VOLUME_BYTES_DURABLE, 0, 0, 0);
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

enum { SYNC_FLAGS = 7 };

long sys_sync_file_range(long fd, long at, long size, long flags) {
    struct file *file = fd_use(fd);
    long end;
    if (!file)
        return -EBADF;
    if ((u32)flags & ~(u32)SYNC_FLAGS || at < 0 || size < 0 ||
        __builtin_add_overflow(at, size, &end))
        return -EINVAL;
    if (of_volume(file))
        return guest_volumes->set(file, VOLUME_BYTES_DURABLE, 0, 0, 0);
    u32 kind = kind_of(file);
    return kind == S_IFREG || kind == S_IFDIR || kind == S_IFBLK ? 0 : -ESPIPE;
}

enum { ADVICE_KINDS = 6 };

long sys_fadvise64(long fd, long at, long size, long advice) {
    struct file *file = fd_use(fd);
    (void)at;
    if (!file)
        return -EBADF;
    if (kind_of(file) == S_IFIFO)
        return -ESPIPE;
    return size < 0 || (u32)advice >= ADVICE_KINDS ? -EINVAL : 0;
}

long sys_readahead(long fd, long at, long size) {
    struct file *file = fd_use(fd);
    (void)at;
    if (!file || !readable(file))
        return -EBADF;
    u32 kind = kind_of(file);
    return (kind == S_IFREG || kind == S_IFBLK) && size >= 0 ? 0 : -EINVAL;
}
