/* Room in files: fallocate(2). */
#include "parts/files/node.h"

enum {
    KEEP_SIZE = 1,
    PUNCH_HOLE = 2,
    COLLAPSE_RANGE = 8,
    ZERO_RANGE = 0x10,
    INSERT_RANGE = 0x20,
    UNSHARE_RANGE = 0x40,
    WRITE_ZEROES = 0x80
};

/* Whether some file system could: here only room and holes are made (tmpfs). */
static long check_mode(u32 mode) {
    switch (mode & ~(u32)KEEP_SIZE) {
    case 0:
    case ZERO_RANGE:
    case UNSHARE_RANGE:
        return 0;
    case PUNCH_HOLE:
        return mode & KEEP_SIZE ? 0 : -EOPNOTSUPP;
    case COLLAPSE_RANGE:
    case INSERT_RANGE:
    case WRITE_ZEROES:
        return mode & KEEP_SIZE ? -EOPNOTSUPP : 0;
    default:
        return -EOPNOTSUPP;
    }
}

static long check_file(struct file *file, u64 end) {
    struct linux_stat stat = {0};
    if (!writable(file))
        return -EBADF;
    file->ops->stat(file, &stat);
    switch (stat.mode & S_IFMT) {
    case S_IFIFO:
        return -ESPIPE;
    case S_IFDIR:
        return -EISDIR;
    case S_IFREG:
    case S_IFBLK:
        return (s64)end < 0 ? -EFBIG : file->ops == &regular_ops ? 0 : -EOPNOTSUPP;
    default:
        return -ENODEV;
    }
}

/* Nothing but zeros, within the file as long as it is. */
static long punch(struct file *file, u64 at, u64 end) {
    static const u8 zeros[PAGE];
    struct node *node = file->object;
    if (node->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    u64 first = (at + PAGE - 1) / PAGE,
        last = (end >= node->size ? node->size + PAGE - 1 : end) / PAGE;
    end = MIN(end, node->size);
    for (u64 piece; at < end; at += piece) {
        piece = MIN(end - at, PAGE - at % PAGE);
        long error = content_write(node, zeros, piece, at);
        if (error < 0)
            return error;
    }
    pages_drop(node, first, last);
    touch_modified(node);
    return 0;
}

static long extend(struct file *file, u64 end, bool keeps_size) {
    const struct node *node = file->object;
    return file->ops->truncate(file, keeps_size ? node->size : MAX(node->size, end));
}

long sys_fallocate(long fd, long mode, long at, long size) {
    struct file *file = fd_use(fd);
    u64 end = (u64)at + (u64)size;
    if (!file)
        return -EBADF;
    if (at < 0 || size <= 0)
        return -EINVAL;
    long error = check_mode((u32)mode);
    if (!error && of_volume(file))
        return mode > ZERO_RANGE + KEEP_SIZE || mode & (COLLAPSE_RANGE | 4)
                   ? -EOPNOTSUPP
                   : guest_volumes->set(file, VOLUME_ROOM, (u64)mode, at, size);
    if (!error)
        error = check_file(file, end);
    if (error)
        return error;
    if (mode & ~(long)(KEEP_SIZE | PUNCH_HOLE))
        return -EOPNOTSUPP;
    return mode & PUNCH_HOLE ? punch(file, (u64)at, end) : extend(file, end, mode & KEEP_SIZE);
}
