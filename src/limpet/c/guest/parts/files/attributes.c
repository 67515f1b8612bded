/* What is known of a file besides its bytes, and changing that. */
#include "parts/files/node.h"

#define AT_STAT_FLAGS (AT_FLAGS | 0x6800) /* AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE */

/* A node by path, or by descriptor where AT_EMPTY_PATH allows it. */
long node_at(long directory, long path, long flags, struct node **node, struct file **file) {
    *file = NULL;
    if (flags & AT_EMPTY_PATH && (!path || !*(const char *)path)) {
        if ((s32)directory == AT_FDCWD) {
            *node = working_directory();
            return guest_volumes ? walk_to_file(AT_FDCWD, ".", true, node, file) : 0;
        }
        *file = path ? fd_get((s32)directory) : fd_use((s32)directory);
        if (!*file)
            return -EBADF;
        *node = file_node(*file);
        return 0;
    }
    return walk_to_file(directory, (const char *)path, !(flags & AT_SYMLINK_NOFOLLOW), node, file);
}

static long stat_at(long directory, long path, long flags, struct linux_stat *stat) {
    struct node *node;
    struct file *file;
    *stat = (struct linux_stat){0};
    if ((u32)flags & ~(u32)AT_STAT_FLAGS)
        return -EINVAL;
    long error = node_at(directory, path, flags, &node, &file);
    if (error)
        return error;
    return node ? node_stat(node, stat) : file->ops->stat(file, stat);
}

long sys_newfstatat(long directory, long path, long to, long flags) {
    struct linux_stat stat;
    long error = stat_at(directory, path, flags, &stat);
    if (!error)
        *(struct linux_stat *)to = stat;
    return error;
}

long sys_stat(long path, long to) {
    return sys_newfstatat(AT_FDCWD, path, to, 0);
}

long sys_lstat(long path, long to) {
    return sys_newfstatat(AT_FDCWD, path, to, AT_SYMLINK_NOFOLLOW);
}

struct statx_time {
    s64 seconds;
    u32 nanoseconds, pad;
};

struct linux_statx {
    u32 mask, blksize;
    u64 attributes;
    u32 nlink, uid, gid;
    u16 mode, pad;
    u64 ino, size, blocks, attributes_mask;
    struct statx_time atime, btime, ctime, mtime;
    u32 rdev_major, rdev_minor, dev_major, dev_minor;
    u64 rest[14];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

#define STATX_BASIC 0x7ffU
#define STATX_TIMES 0xc0U /* of change: only if either is asked for */
#define STATX_RESERVED 0x80000000L
#define AT_STATX_SYNC_TYPE 0x6000L

static struct statx_time long_time(struct linux_timespec time) {
    return (struct statx_time){time.seconds, (u32)time.nanoseconds, 0};
}

long sys_statx(long directory, long path, long flags, long mask, long to) {
    struct linux_stat stat;
    if (mask & STATX_RESERVED || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
        return -EINVAL;
    long error = stat_at(directory, path, flags, &stat);
    if (error)
        return error;
    if (!(mask & STATX_TIMES))
        stat.ctime = stat.mtime = (struct linux_timespec){0};
    *(struct linux_statx *)to = (struct linux_statx){
        .mask = mask & STATX_TIMES ? STATX_BASIC : STATX_BASIC & ~STATX_TIMES,
        .blksize = (u32)stat.blksize,
        .nlink = (u32)stat.nlink,
        .uid = stat.uid,
        .gid = stat.gid,
        .mode = (u16)stat.mode,
        .ino = stat.ino,
        .size = (u64)stat.size,
        .blocks = (u64)stat.blocks,
        .atime = long_time(stat.atime),
        .ctime = long_time(stat.ctime),
        .mtime = long_time(stat.mtime),
        .rdev_major = (u32)(stat.rdev >> 8 & 0xfff),
        .rdev_minor = (u32)(stat.rdev & 0xff),
        .dev_minor = (u32)stat.dev,
    };
    return 0;
}

/* Root is allowed everything that exists, but only what some execute bit marks is executable, and
 * nothing is written below a volume that is only read. */
static long allowed(long directory, long path, long mode, long flags) {
    struct linux_stat stat;
    struct node *node;
    struct file *file;
    long error = node_at(directory, path, flags & AT_FLAGS, &node, &file);
    if (error)
        return error;
    if (users && node)
        return users->may(node, (u32)mode);
    error = node ? node_stat(node, &stat) : file->ops->stat(file, &stat);
    if (error)
        return error;
    u32 kind = stat.mode & S_IFMT;
    if (mode & 2 && !node && of_volume(file) &&
        (kind == S_IFREG || kind == S_IFDIR || kind == S_IFLNK))
        error = guest_volumes->may_change(file);
    bool refuses = mode & 1 && kind == S_IFREG && !(stat.mode & 0111);
    return !error && refuses ? -EACCES : error;
}

long sys_faccessat2(long directory, long path, long mode, long flags) {
    if ((u32)mode & ~7U || (u32)flags & ~(u32)(AT_FLAGS | AT_EACCESS))
        return -EINVAL;
    if (!users || flags & AT_EACCESS)
        return allowed(directory, path, mode, flags);
    if (path || !(flags & AT_EMPTY_PATH))
        (void)*(volatile const char *)path, (void)strlen((const char *)path); /* or it ends here */
    users->asks(true);
    long error = allowed(directory, path, mode, flags);
    users->asks(false);
    return error;
}

long sys_faccessat(long directory, long path, long mode) {
    return sys_faccessat2(directory, path, mode, 0);
}

long sys_access(long path, long mode) {
    return sys_faccessat2(AT_FDCWD, path, mode, 0);
}

long sys_readlinkat(long directory, long path, long to, long size) {
    struct node *node = NULL;
    struct file *file;
    if ((s32)size <= 0)
        return -EINVAL;
    bool itself = !*(const char *)path && (s32)directory != AT_FDCWD; /* a link opened by O_PATH */
    long error =
        node_at(directory, path, AT_SYMLINK_NOFOLLOW | (itself ? AT_EMPTY_PATH : 0), &node, &file);
    if (error)
        return error;
    if (!node && of_volume(file))
        return guest_volumes->link(file, (void *)to, (u32)size, itself);
    if (!node || !is_link(node))
        return itself ? -ENOENT : -EINVAL;
    touch_accessed(node);
    return node->device ? link_text(node, (void *)to, (u32)size)
                        : content_read(node, (void *)to, (u32)size, 0);
}

long sys_readlink(long path, long to, long size) {
    return sys_readlinkat(AT_FDCWD, path, to, size);
}

static long change_mode(struct node *node, long mode) {
    long error = users ? users->owns(node) : 0;
    if (error)
        return error;
    if (users)
        mode = users->mode((u32)mode, node->gid);
    if (node->seals & F_SEAL_EXEC && (node->mode ^ (u32)mode) & 0111)
        return -EPERM;
    node->mode = (node->mode & S_IFMT) | ((u32)mode & 07777);
    node->changed = (s64)file_time();
    node_changed(node, CHANGED_ATTRIBUTES);
    return 0;
}

/* The mode, owner and times of a pipe do not change; what is no file at all has none. */
long without_node(struct file *file, const struct naming *what) {
    struct linux_stat stat;
    if (of_volume(file))
        return guest_volumes->change(file, what);
    file->ops->stat(file, &stat);
    return stat.mode & S_IFMT ? 0 : -EOPNOTSUPP;
}

static long mode_without_node(struct file *file, long mode) {
    const struct naming what = {.what = NAME_MODE, .argument = (u32)mode & 07777};
    return without_node(file, &what);
}

long sys_fchmodat2(long directory, long path, long mode, long flags) {
    struct node *node = NULL;
    struct file *file;
    if ((u32)flags & ~(u32)AT_FLAGS)
        return -EINVAL;
    long error = node_at(directory, path, flags, &node, &file);
    if (error)
        return error;
    if (!node)
        return mode_without_node(file, mode);
    return is_link(node) ? -EOPNOTSUPP : change_mode(node, mode);
}

long sys_fchmodat(long directory, long path, long mode) {
    return sys_fchmodat2(directory, path, mode, 0);
}

long sys_chmod(long path, long mode) {
    return sys_fchmodat(AT_FDCWD, path, mode);
}

long sys_fchmod(long fd, long mode) {
    struct node *node = NULL;
    struct file *file;
    long error = (s32)fd < 0 ? -EBADF : node_at(fd, 0, AT_EMPTY_PATH, &node, &file);
    if (error)
        return error;
    return node ? change_mode(node, mode) : mode_without_node(file, mode);
}

/* chown(2): the set-ID bits go, but for one of a group that cannot run it and is the program's. */
u32 after_owner(const struct node *node) {
    u32 mode = node->mode, runs = mode & 010 ? S_ISGID : 0;
    if (is_directory(node))
        return mode;
    mode &= ~(S_ISUID | runs);
    return users ? users->mode(mode, node->gid) : mode;
}

static long change_owner(struct node *node, long user, long group) {
    long error = users ? users->gives(node, (u32)user, (u32)group) : 0;
    if (error)
        return error;
    node->mode = after_owner(node);
    if ((u32)user != ~0U)
        node->uid = (u32)user;
    if ((u32)group != ~0U)
        node->gid = (u32)group;
    node->changed = (s64)file_time();
    node_changed(node, CHANGED_ATTRIBUTES);
    return 0;
}

long sys_fchownat(long directory, long path, long user, long group, long flags) {
    struct node *node = NULL;
    struct file *file;
    if ((u32)flags & ~(u32)AT_FLAGS)
        return -EINVAL;
    long error = node_at(directory, path, flags, &node, &file);
    if (error)
        return error;
    if (!node && of_volume(file))
        return guest_volumes->owner(file, (u32)user, (u32)group);
    return node ? change_owner(node, user, group) : without_node(file, NULL);
}

long sys_chown(long path, long user, long group) {
    return sys_fchownat(AT_FDCWD, path, user, group, 0);
}

long sys_lchown(long path, long user, long group) {
    return sys_fchownat(AT_FDCWD, path, user, group, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(long fd, long user, long group) {
    return (s32)fd < 0 ? -EBADF : sys_fchownat(fd, 0, user, group, AT_EMPTY_PATH);
}

long sys_truncate(long path, long size) {
    struct node *node;
    struct file *file;
    if (size < 0)
        return -EINVAL;
    long error = walk_to_file(AT_FDCWD, (const char *)path, true, &node, &file);
    if (!error && !node)
        return of_volume(file) ? guest_volumes->resize(file, (u64)size) : -EINVAL;
    if (error)
        return error;
    if (is_directory(node))
        return -EISDIR;
    bool resized = (u64)size != node->size;
    error = is_regular(node) ? may(node, MAY_WRITE) : -EINVAL;
    if (!error)
        error = node_resize(node, (u64)size);
    if (!error && resized)
        touch_modified(node);
    if (!error)
        node_changed(node, CHANGED_CONTENT);
    return error;
}
