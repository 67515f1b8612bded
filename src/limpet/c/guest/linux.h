/* Numbers and structures of the x86-64 Linux system call ABI (the uapi headers). */
#ifndef LIMPET_LINUX_H
#define LIMPET_LINUX_H

#include "contract.h"

enum {
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    EINTR = 4,
    EIO = 5,
    ENXIO = 6,
    E2BIG = 7,
    EBADF = 9,
    ECHILD = 10,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EFAULT = 14,
    EBUSY = 16,
    EEXIST = 17,
    EXDEV = 18,
    ENODEV = 19,
    ENOTDIR = 20,
    EISDIR = 21,
    EINVAL = 22,
    ENFILE = 23,
    EMFILE = 24,
    ENOTTY = 25,
    EFBIG = 27,
    ENOSPC = 28,
    ESPIPE = 29,
    EROFS = 30,
    EMLINK = 31,
    EPIPE = 32,
    ERANGE = 34,
    EDEADLK = 35,
    ENAMETOOLONG = 36,
    ENOLCK = 37,
    ENOSYS = 38,
    ENOTEMPTY = 39,
    ELOOP = 40,
    ENOMSG = 42,
    EIDRM = 43,
    ENODATA = 61,
    EOVERFLOW = 75,
    EBADFD = 77,
    ENOTSOCK = 88,
    EOPNOTSUPP = 95,
    EISCONN = 106,
    ETIMEDOUT = 110,
    ERESTARTSYS = 512 /* never seen by a program: interrupted, and made again with SA_RESTART */
};

enum {
    O_RDONLY = 0,
    O_WRONLY = 1,
    O_RDWR = 2,
    O_ACCMODE = 3,
    O_CREAT = 0100,
    O_EXCL = 0200,
    O_NOCTTY = 0400,
    O_TRUNC = 01000,
    O_APPEND = 02000,
    O_NONBLOCK = 04000,
    O_DSYNC = 010000,
    O_ASYNC = 020000,
    O_DIRECT = 040000,
    O_LARGEFILE = 0100000,
    O_DIRECTORY = 0200000,
    O_NOFOLLOW = 0400000,
    O_NOATIME = 01000000,
    O_CLOEXEC = 02000000,
    O_SYNC = 04010000,
    O_PATH = 010000000,
    O_TMPFILE = 020200000
};

enum {
    AT_FDCWD = -100,
    AT_SYMLINK_NOFOLLOW = 0x100,
    AT_EACCESS = 0x200,
    AT_REMOVEDIR = 0x200,
    AT_SYMLINK_FOLLOW = 0x400,
    AT_EMPTY_PATH = 0x1000
};

enum {
    S_IFMT = 0170000,
    S_ISUID = 04000,
    S_ISGID = 02000,
    S_ISVTX = 01000,
    S_IFSOCK = 0140000,
    S_IFLNK = 0120000,
    S_IFREG = 0100000,
    S_IFBLK = 0060000,
    S_IFDIR = 0040000,
    S_IFCHR = 0020000,
    S_IFIFO = 0010000
};

enum { DT_FIFO = 1, DT_CHR = 2, DT_DIR = 4, DT_BLK = 6, DT_REG = 8, DT_LNK = 10 };
enum { SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4 };
enum {
    POLLIN = 1,
    POLLPRI = 2,
    POLLOUT = 4,
    POLLERR = 8,
    POLLHUP = 16,
    POLLNVAL = 32,
    POLLRDNORM = 64,
    POLLRDBAND = 128,
    POLLWRNORM = 256,
    POLLWRBAND = 512,
    POLLRDHUP = 0x2000,
    POLL_READABLE = POLLIN | POLLRDNORM,
    POLL_WRITABLE = POLLOUT | POLLWRNORM
};
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1 };

#define USER_END 0x7ffffffff000UL /* of the addresses that a program could use */
#define PATH_MAX 4096
#define NAME_MAX 255
#define IOV_MAX 1024
#define NANOSECONDS 1000000000L

struct linux_timespec {
    s64 seconds, nanoseconds;
};

/* Nanoseconds to wait, at most 136 years; -1 for a time that Linux refuses. */
static inline s64 time_to_wait(const struct linux_timespec *time) {
    if (time->seconds < 0 || time->nanoseconds < 0 || time->nanoseconds >= NANOSECONDS)
        return -1;
    return MIN(time->seconds, 1L << 32) * NANOSECONDS + time->nanoseconds;
}

struct linux_timeval {
    s64 seconds, microseconds;
};

struct linux_iovec {
    u64 base, length;
};

struct linux_stat {
    u64 dev, ino, nlink;
    u32 mode, uid, gid, pad;
    u64 rdev;
    s64 size, blksize, blocks;
    struct linux_timespec atime, mtime, ctime;
    s64 unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");

#endif
