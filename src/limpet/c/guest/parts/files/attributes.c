/* What is known of a file besides its bytes, and changing that. */
#include "parts/files/node.h"

/* The flags of newer calls; any other is an error. */
#define AT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
#define AT_STAT_FLAGS (AT_FLAGS | 0x6800) /* AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE */

/* A node by path, or by descriptor where AT_EMPTY_PATH allows it. */
static long find(long directory, long path, long flags, struct node **node, struct file **file) {
    *file = NULL;
    if (flags & AT_EMPTY_PATH && (!path || !*(const char *)path)) {
        if ((s32)directory == AT_FDCWD) {
            *node = working_directory();
            return 0;
        }
        *file = path ? fd_get((s32)directory) : fd_use((s32)directory);
        if (!*file)
            return -EBADF;
        *node = of_tree(*file) ? (*file)->object : NULL;
        return 0;
    }
    return walk_to_file(directory, (const char *)path, !(flags & AT_SYMLINK_NOFOLLOW), node, file);
}

static long stat_at(long directory, long path, long flags, struct linux_stat *stat) {
    struct node *node;
    struct file *file;
    *stat = (struct linux_stat){0};
    if (flags & ~AT_STAT_FLAGS)
        return -EINVAL;
    long error = find(directory, path, flags, &node, &file);
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
    *(struct linux_statx *)to = (struct linux_statx){
        .mask = STATX_BASIC,
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

/* The program is root in its own world: everything that exists is accessible, but
 * only what some execute bit marks is executable (access(2)). */
long sys_faccessat2(long directory, long path, long mode, long flags) {
    struct linux_stat stat;
    if (mode & ~7 || flags & ~(AT_FLAGS | AT_EACCESS))
        return -EINVAL;
    long error = stat_at(directory, path, flags & AT_FLAGS, &stat);
    if (error)
        return error;
    bool refuses = mode & 1 && (stat.mode & S_IFMT) == S_IFREG && !(stat.mode & 0111);
    return refuses ? -EACCES : 0;
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
    bool itself = !*(const char *)path && (s32)directory != AT_FDCWD; /* a link opened by O_PATH */
    if ((s32)size <= 0)
        return -EINVAL;
    long error =
        find(directory, path, AT_SYMLINK_NOFOLLOW | (itself ? AT_EMPTY_PATH : 0), &node, &file);
    if (error)
        return error;
    if (!node || !is_link(node))
        return itself ? -ENOENT : -EINVAL;
    return node->device ? link_text(node, (void *)to, (u64)size)
                        : content_read(node, (void *)to, (u64)size, 0);
}

long sys_readlink(long path, long to, long size) {
    return sys_readlinkat(AT_FDCWD, path, to, size);
}

static long change_mode(struct node *node, long mode) {
    node->mode = (node->mode & S_IFMT) | ((u32)mode & 07777);
    node->changed = (s64)file_time();
    return 0;
}

long sys_fchmodat(long directory, long path, long mode) {
    struct node *node;
    long error = walk_to(directory, (const char *)path, true, &node);
    return error ? error : change_mode(node, mode);
}

long sys_chmod(long path, long mode) {
    return sys_fchmodat(AT_FDCWD, path, mode);
}

/* The mode, owner and times of a pipe do not change; what is no file at all has none. */
static long without_node(struct file *file) {
    struct linux_stat stat;
    file->ops->stat(file, &stat);
    return stat.mode & S_IFMT ? 0 : -EOPNOTSUPP;
}

long sys_fchmod(long fd, long mode) {
    struct node *node = NULL;
    struct file *file;
    long error = fd < 0 ? -EBADF : find(fd, 0, AT_EMPTY_PATH, &node, &file);
    if (error)
        return error;
    return node ? change_mode(node, mode) : without_node(file);
}

static long change_owner(struct node *node, long user, long group) {
    if ((u32)user != ~0U)
        node->uid = (u32)user;
    if ((u32)group != ~0U)
        node->gid = (u32)group;
    if (is_regular(node) && node->mode & 0111)
        node->mode &= ~06000U; /* chown(2): the set-ID bits go */
    node->changed = (s64)file_time();
    return 0;
}

long sys_fchownat(long directory, long path, long user, long group, long flags) {
    struct node *node = NULL;
    struct file *file;
    if (flags & ~AT_FLAGS)
        return -EINVAL;
    long error = find(directory, path, flags, &node, &file);
    if (error)
        return error;
    return node ? change_owner(node, user, group) : without_node(file);
}

long sys_chown(long path, long user, long group) {
    return sys_fchownat(AT_FDCWD, path, user, group, 0);
}

long sys_lchown(long path, long user, long group) {
    return sys_fchownat(AT_FDCWD, path, user, group, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(long fd, long user, long group) {
    return fd < 0 ? -EBADF : sys_fchownat(fd, 0, user, group, AT_EMPTY_PATH);
}

#define UTIME_NOW 0x3fffffffL
#define UTIME_OMIT 0x3ffffffeL
#define MOST_SECONDS 9223372035L /* as nanoseconds in 64 bits */

static bool is_time(const struct linux_timespec *time) {
    return time->nanoseconds == UTIME_OMIT || time->nanoseconds == UTIME_NOW ||
           (u64)time->nanoseconds < NANOSECONDS;
}

static void set_time(s64 *to, const struct linux_timespec *time) {
    if (time->nanoseconds == UTIME_NOW)
        *to = (s64)file_time();
    else if (time->nanoseconds != UTIME_OMIT)
        *to =
            MIN(MAX(time->seconds, -MOST_SECONDS), MOST_SECONDS) * NANOSECONDS + time->nanoseconds;
}

long sys_utimensat(long directory, long path, long given, long flags) {
    static const struct linux_timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    const struct linux_timespec *times = given ? (const struct linux_timespec *)given : now;
    struct node *node = NULL;
    struct file *file;
    if (times[0].nanoseconds == UTIME_OMIT && times[1].nanoseconds == UTIME_OMIT)
        return 0; /* Linux does not even look at the path */
    if (flags & ~AT_FLAGS || (!path && flags))
        return -EINVAL;
    if (!path && (s32)directory == AT_FDCWD)
        return -EFAULT;
    long error = find(directory, path, path ? flags : AT_EMPTY_PATH, &node, &file);
    if (error)
        return error;
    if (!is_time(&times[0]) || !is_time(&times[1]))
        return -EINVAL;
    if (!node)
        return without_node(file);
    set_time(&node->accessed, &times[0]);
    set_time(&node->modified, &times[1]);
    node->changed = (s64)file_time();
    return 0;
}

static long set_microseconds(long directory, long path, long times) {
    struct linux_timespec exact[2];
    const struct linux_timeval *given = (const struct linux_timeval *)times;
    for (int i = 0; given && i < 2; i++) {
        s64 microseconds = given[i].microseconds;
        if ((u64)microseconds >= 1000000)
            return -EINVAL;
        exact[i] = (struct linux_timespec){given[i].seconds, microseconds * 1000};
    }
    return sys_utimensat(directory, path, given ? (long)exact : 0, 0);
}

long sys_futimesat(long directory, long path, long times) {
    return set_microseconds(directory, path, times);
}

long sys_utimes(long path, long times) {
    return set_microseconds(AT_FDCWD, path, times);
}

long sys_utime(long path, long times) {
    struct linux_timespec exact[2];
    const s64 *given = (const s64 *)times;
    for (int i = 0; given && i < 2; i++)
        exact[i] = (struct linux_timespec){given[i], 0};
    return sys_utimensat(AT_FDCWD, path, given ? (long)exact : 0, 0);
}

long sys_truncate(long path, long size) {
    struct node *node;
    if (size < 0)
        return -EINVAL;
    long error = walk_to(AT_FDCWD, (const char *)path, true, &node);
    if (error)
        return error;
    if (is_directory(node))
        return -EISDIR;
    error = is_regular(node) ? content_resize(node, (u64)size) : -EINVAL;
    if (!error)
        touch_modified(node);
    return error;
}
