/* Open directories: their entries, in the order in which they came. */
#include "parts/files/node.h"

/* struct linux_dirent64 (getdents64(2)). */
struct dirent {
    u64 ino, next;
    u16 length;
    u8 kind;
    char name[];
};

#define DIRENT_HEAD 19UL

struct listing {
    u8 *to;
    u64 left;
};

static bool emit(struct listing *out, const struct node *node, u64 next, const char *name,
                 u64 length) {
    u64 size = ALIGN_UP(DIRENT_HEAD + length + 1, 8);
    if (size > out->left)
        return false;
    struct dirent *entry = (struct dirent *)out->to;
    entry->ino = node->ino, entry->next = next;
    entry->length = (u16)size;
    entry->kind = (u8)((node->mode & S_IFMT) >> 12);
    memcpy(entry->name, name, length);
    entry->name[length] = 0;
    out->to += size, out->left -= size;
    return true;
}

/* The position is the cookie of the last entry that was given. */
static long directory_entries(struct file *file, void *to, u64 size) {
    struct node *node = file->object;
    struct listing out = {to, size};
    bool fits = true;
    if (!node->links)
        return -ENOENT; /* it was removed */
    directory_load(node);
    if (!(file->flags & O_NOATIME))
        touch_accessed(node);
    if (file->position < 1 && (fits = emit(&out, node, 1, ".", 1)))
        file->position = 1;
    if (fits && file->position < 2 && (fits = emit(&out, node->parent, 2, "..", 2)))
        file->position = 2;
    for (struct entry *each = node->first; fits && each; each = each->next) {
        if (each->cookie <= file->position)
            continue;
        fits = emit(&out, each->node, each->cookie, each->name, each->length);
        if (fits)
            file->position = each->cookie;
    }
    return !fits && out.to == to ? -EINVAL : out.to - (u8 *)to;
}

/* Sizes are 32 bits, and in those that Linux takes for negative there is no room. */
long sys_getdents64(long fd, long to, long size) {
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    if (!file->ops->entries)
        return -ENOTDIR;
    return file->ops->entries(file, (void *)to, (s32)size < 0 ? 0 : (u32)size);
}

/* struct linux_dirent is as long: the kind is its last byte, not before the name. */
long sys_getdents(long fd, long to, long size) {
    long total = sys_getdents64(fd, to, size);
    for (long at = 0; at < total;) {
        struct dirent *entry = (struct dirent *)(to + at);
        u8 kind = entry->kind;
        memmove(&entry->kind, entry->name, entry->length - DIRENT_HEAD);
        ((u8 *)entry)[entry->length - 1] = kind;
        at += entry->length;
    }
    return total;
}

static long directory_read(struct file *file, void *to, u64 size) {
    (void)file, (void)to, (void)size;
    return -EISDIR;
}

static long directory_seek(struct file *file, long offset, int whence) {
    long base = whence == SEEK_CUR ? (long)file->position : 0;
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    if (__builtin_add_overflow(base, offset, &base) || base < 0)
        return -EINVAL;
    file->position = (u64)base;
    return base;
}

const struct file_ops directory_ops = {
    .read = directory_read,
    .seek = directory_seek,
    .stat = file_stat,
    .entries = directory_entries,
    .release = file_close,
};
