/* Open files of the tree: regular files, directories, the few devices. */
#include "parts/files/node.h"

#define TREE_DEVICE 0x16UL

void touch_modified(struct node *node) {
    node->modified = node->changed = (s64)file_time();
}

static struct linux_timespec split(s64 nanoseconds) {
    s64 seconds = nanoseconds / NANOSECONDS, rest = nanoseconds % NANOSECONDS;
    if (rest < 0)
        rest += NANOSECONDS, seconds--;
    return (struct linux_timespec){seconds, rest};
}

long node_stat(struct node *node, struct linux_stat *to) {
    s64 size = (s64)(is_directory(node) ? PAGE : node->size);
    s64 blocks = is_regular(node) || is_directory(node) ? (s64)ALIGN_UP((u64)size, PAGE) / 512 : 0;
    static const u16 numbers[DEVICE_FD_INFO + 1] = {
        [DEVICE_NULL] = NULL_NUMBER, [DEVICE_ZERO] = 0x105,    [DEVICE_FULL] = 0x107,
        [DEVICE_RANDOM] = 0x109,     [DEVICE_TTY] = 0x500,     [DEVICE_DISK] = 0xfe00,
        [DEVICE_TUN] = 0xac8,        [DEVICE_CONSOLE] = 0x501, [DEVICE_PTS] = PTS_NUMBER};
    *to = (struct linux_stat){
        .dev = node->device == DEVICE_PTS ? PTS_DEVICE : TREE_DEVICE,
        .ino = node->device == DEVICE_PTS ? PTS_INODE : node->ino,
        .nlink = node_links(node),
        .mode = node->mode,
        .uid = node->uid,
        .gid = node->gid,
        .rdev = numbers[node->device] + (node->device == DEVICE_DISK ? node->capacity : 0),
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
    node->references--;
    node_release(node);
}

static long regular_read(struct file *file, void *to, u64 size) {
    long done = content_read(file->object, to, size, file->position);
    if (done > 0)
        file->position += (u64)done;
    return done;
}

static long regular_pread(struct file *file, void *to, u64 size, u64 at) {
    return content_read(file->object, to, size, at);
}

static long write_at(struct file *file, const void *from, u64 size, u64 at) {
    long done = content_write(file->object, from, size, at);
    if (done > 0)
        touch_modified(file->object);
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
        return seek_to(file, 0, whence == SEEK_DATA ? offset : (long)node->size);
    default:
        return -EINVAL;
    }
}

static long regular_truncate(struct file *file, u64 size) {
    long error = content_resize(file->object, size);
    if (!error)
        touch_modified(file->object);
    return error;
}

static long regular_map(struct file *file, const struct mapping_wish *wish) {
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
    .truncate = regular_truncate,
    .map = regular_map,
    .fill = regular_pread,
    .unmap = regular_unmap,
    .release = file_close,
};

/* struct linux_dirent64 (getdents64(2)). */
struct dirent {
    u64 ino, next;
    u16 length;
    u8 kind;
    char name[];
};

#define DIRENT_HEAD 19UL

static bool emit(u8 **to, u64 *left, const struct node *node, u64 next, const char *name,
                 u64 length) {
    u64 size = ALIGN_UP(DIRENT_HEAD + length + 1, 8);
    if (size > *left)
        return false;
    struct dirent *out = (struct dirent *)*to;
    out->ino = node->ino, out->next = next;
    out->length = (u16)size;
    out->kind = (u8)((node->mode & S_IFMT) >> 12);
    memcpy(out->name, name, length);
    out->name[length] = 0;
    *to += size, *left -= size;
    return true;
}

/* The position is the cookie of the last entry that was given. */
static long directory_entries(struct file *file, void *to, u64 size) {
    struct node *node = file->object;
    u8 *at = to;
    u64 left = size;
    bool fits = true;
    if (!node->links)
        return -ENOENT; /* it was removed */
    directory_load(node);
    if (file->position < 1 && (fits = emit(&at, &left, node, 1, ".", 1)))
        file->position = 1;
    if (fits && file->position < 2 && (fits = emit(&at, &left, node->parent, 2, "..", 2)))
        file->position = 2;
    for (struct entry *each = node->first; fits && each; each = each->next) {
        if (each->cookie <= file->position)
            continue;
        fits = emit(&at, &left, each->node, each->cookie, each->name, each->length);
        if (fits)
            file->position = each->cookie;
    }
    if (!fits && at == to)
        return -EINVAL;
    return at - (u8 *)to;
}

static long directory_read(struct file *file, void *to, u64 size) {
    (void)file, (void)to, (void)size;
    return -EISDIR;
}

static long directory_seek(struct file *file, long offset, int whence) {
    return whence == SEEK_SET || (whence == SEEK_CUR && !offset)
               ? seek_to(file, whence == SEEK_SET ? 0 : (long)file->position, offset)
               : -EINVAL;
}

const struct file_ops directory_ops = {
    .read = directory_read,
    .seek = directory_seek,
    .stat = file_stat,
    .entries = directory_entries,
    .release = file_close,
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
    .seek = device_seek,
    .stat = file_stat,
    .map = device_map,
    .fill = device_fill,
    .release = file_close,
};
