/* Open files of the tree: regular files, and the few devices. */
#include "parts/files/node.h"

#define TREE_DEVICE 0x16UL

#define DAY (24 * 3600 * NANOSECONDS)

u64 file_size_cut;

void touch_modified(struct node *node) {
    if (users && is_regular(node))
        users->written(node);
    node->modified = node->changed = (s64)file_time();
}

/* Once after each change, and once a day: mounts are `relatime`. */
void touch_accessed(struct node *node) {
    s64 now = (s64)file_time(), since;
    bool old = __builtin_sub_overflow(now, node->accessed, &since) || since >= DAY;
    if (node->accessed <= node->modified || node->accessed <= node->changed || old)
        node->accessed = now;
}

static void accessed(const struct file *file) {
    if (!(file->flags & O_NOATIME))
        touch_accessed(file->object);
}

static struct linux_timespec split(s64 nanoseconds) {
    s64 seconds = nanoseconds / NANOSECONDS, rest = nanoseconds % NANOSECONDS;
    if (rest < 0)
        rest += NANOSECONDS, seconds--;
    return (struct linux_timespec){seconds, rest};
}

long node_stat(struct node *node, struct linux_stat *to) {
    s64 size = (s64)(is_directory(node) ? PAGE : node->size);
    s64 blocks = is_regular(node) ? content_blocks(node) : is_directory(node) ? PAGE / 512 : 0;
    static const u16 numbers[DEVICE_MOUNT + 1] = {
        [DEVICE_NULL] = NULL_NUMBER, [DEVICE_ZERO] = 0x105,    [DEVICE_FULL] = 0x107,
        [DEVICE_RANDOM] = 0x109,     [DEVICE_TTY] = 0x500,     [DEVICE_DISK] = 0xfe00,
        [DEVICE_TUN] = 0xac8,        [DEVICE_CONSOLE] = 0x501, [DEVICE_PTS] = PTS_NUMBER,
        [DEVICE_PTMX] = 0x502,       [DEVICE_PTY] = PTS_NUMBER};
    bool numbered = node->device == DEVICE_DISK || node->device == DEVICE_PTY;
    *to = (struct linux_stat){
        .dev = node->device == DEVICE_PTS ? PTS_DEVICE : TREE_DEVICE,
        .ino = node->device == DEVICE_PTS ? PTS_INODE : node->ino,
        .nlink = node_links(node),
        .mode = node->mode,
        .uid = node->uid,
        .gid = node->gid,
        .rdev = numbers[node->device] + (numbered ? node->capacity : 0),
        .size = size,
        .blksize = PAGE,
        .blocks = blocks,
        .atime = split(node->accessed),
        .mtime = split(node->modified),
        .ctime = split(node->changed),
    };
    return 0;
}

long file_stat(struct file *file, struct linux_stat *to) {
    return node_stat(file->object, to);
}

void file_close(struct file *file) {
    struct node *node = file->object;
    if (!(file->flags & O_PATH))
        node_changed(node, writable(file) ? CHANGED_CLOSED_WRITTEN : CHANGED_CLOSED);
    node->references--;
    node_release(node);
}

static long regular_pread(struct file *file, void *to, u64 size, u64 at) {
    long done = content_read(file->object, to, size, at);
    accessed(file);
    if (done > 0)
        node_changed(file->object, CHANGED_READ);
    return done;
}

static const u8 *regular_view(struct file *file, u64 at, u64 *size) {
    const u8 *there = content_packed(file->object, at, size);
    if (there) {
        accessed(file);
        node_changed(file->object, CHANGED_READ);
    }
    return there;
}

static long regular_read(struct file *file, void *to, u64 size) {
    long done = regular_pread(file, to, size, file->position);
    if (done > 0)
        file->position += (u64)done;
    return done;
}

#define SIGXFSZ 25

/* RLIMIT_FSIZE: what is left of `size` bytes at `at`, or the error. */
static long within_limit(u64 size, u64 at) {
    u64 limit = ~file_size_cut;
    if (at < limit)
        return (long)MIN(size, limit - at);
    signal_raise(SIGXFSZ);
    return -EFBIG;
}

static bool node_sealed(const struct node *node, u64 end) {
    return node->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ||
           (node->seals & F_SEAL_GROW && end > node->size);
}

static long write_at(struct file *file, const void *from, u64 size, u64 at) {
    long allowed = size && node_sealed(file->object, at + size) ? -EPERM : 0;
    if (!allowed && size)
        allowed = within_limit(size, at);
    if (allowed <= 0)
        return allowed;
    long done = content_write(file->object, from, (u64)allowed, at);
    if (done > 0) {
        touch_modified(file->object);
        node_changed(file->object, CHANGED_CONTENT);
    }
    return done;
}

static long regular_pwrite(struct file *file, const void *from, u64 size, u64 at) {
    struct node *node = file->object;
    return write_at(file, from, size, file->flags & O_APPEND ? node->size : at);
}

static long regular_write(struct file *file, const void *from, u64 size) {
    struct node *node = file->object;
    if (file->flags & O_APPEND)
        file->position = node->size;
    long done = write_at(file, from, size, file->position);
    if (done > 0)
        file->position += (u64)done;
    return done;
}

static long seek_to(struct file *file, long base, long offset) {
    long at;
    if (__builtin_add_overflow(base, offset, &at) || at < 0)
        return -EINVAL;
    file->position = (u64)at;
    return at;
}

static long regular_seek(struct file *file, long offset, int whence) {
    struct node *node = file->object;
    switch (whence) {
    case SEEK_SET:
        return seek_to(file, 0, offset);
    case SEEK_CUR:
        return seek_to(file, (long)file->position, offset);
    case SEEK_END:
        return seek_to(file, (long)node->size, offset);
    case SEEK_DATA:
    case SEEK_HOLE:
        if (offset < 0 || (u64)offset >= node->size)
            return -ENXIO;
        offset = content_next(node, (u64)offset, whence == SEEK_DATA);
        return offset < 0 ? offset : seek_to(file, 0, offset);
    default:
        return -EINVAL;
    }
}

long node_resize(struct node *node, u64 size) {
    u32 seal = size < node->size ? F_SEAL_SHRINK : size > node->size ? F_SEAL_GROW : 0;
    if (node->seals & seal)
        return -EPERM;
    if (size > node->size && size > ~file_size_cut) {
        signal_raise(SIGXFSZ);
        return -EFBIG;
    }
    return content_resize(node, size);
}

static long regular_truncate(struct file *file, u64 size) {
    long error = node_resize(file->object, size);
    if (!error) {
        touch_modified(file->object);
        node_changed(file->object, CHANGED_CONTENT);
    }
    return error;
}

enum { FIGETBSZ = 2, FIONREAD = 0x541b };

static long regular_ioctl(struct file *file, u64 request, u64 argument) {
    const struct node *node = file->object;
    switch (request) {
    case FIGETBSZ:
        *(s32 *)argument = PAGE;
        return 0;
    case FIONREAD:
        *(s32 *)argument = (s32)(node->size - file->position);
        return 0;
    default:
        return -ENOTTY;
    }
}

static long regular_map(struct file *file, const struct mapping_wish *wish) {
    const struct node *node = file->object;
    if (wish->shared && wish->writes && node->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    accessed(file);
    return wish->shared ? extent_map(file->object, wish) : 0;
}

static void regular_unmap(struct file *file, u64 offset, u64 length) {
    extents_unmap(file->object, offset / PAGE, length / PAGE);
}

const struct file_ops regular_ops = {
    .read = regular_read,
    .write = regular_write,
    .pread = regular_pread,
    .pwrite = regular_pwrite,
    .seek = regular_seek,
    .stat = file_stat,
    .ioctl = regular_ioctl,
    .control = regular_control,
    .truncate = regular_truncate,
    .map = regular_map,
    .fill = regular_pread,
    .unmap = regular_unmap,
    .release = file_close,
    .view = regular_view,
};

static enum device device_of(const struct file *file) {
    return ((const struct node *)file->object)->device;
}

static long device_read(struct file *file, void *to, u64 size) {
    switch (device_of(file)) {
    case DEVICE_ZERO:
    case DEVICE_FULL:
        memset(to, 0, size);
        return (long)size;
    case DEVICE_RANDOM:
        entropy_fill(to, size);
        return (long)size;
    default:
        return 0;
    }
}

static long device_write(struct file *file, const void *from, u64 size) {
    (void)from;
    return device_of(file) == DEVICE_FULL ? -ENOSPC : (long)size;
}

static long device_pwrite(struct file *file, const void *from, u64 size, u64 at) {
    (void)at;
    return device_write(file, from, size);
}

static long device_pread(struct file *file, void *to, u64 size, u64 at) {
    (void)at;
    return device_read(file, to, size);
}

/* Of these only /dev/zero is memory: as if it were no file at all. */
static long device_map(struct file *file, const struct mapping_wish *wish) {
    (void)wish;
    return device_of(file) == DEVICE_ZERO ? 0 : -ENODEV;
}

static long device_fill(struct file *file, void *to, u64 size, u64 at) {
    (void)file, (void)to, (void)size, (void)at;
    return 0;
}

static long device_seek(struct file *file, long offset, int whence) {
    (void)file, (void)offset, (void)whence;
    return 0;
}

const struct file_ops device_ops = {
    .read = device_read,
    .write = device_write,
    .pread = device_pread,
    .pwrite = device_pwrite,
    .seek = device_seek,
    .stat = file_stat,
    .map = device_map,
    .fill = device_fill,
    .release = file_close,
};
