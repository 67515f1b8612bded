/* The host kernel, as far as monitors call it: Linux's constants and structures.  What differs
 * from one architecture to another is in its folder. */
#ifndef LIMPET_HOST_H
#define LIMPET_HOST_H

#include "contract.h"
#include "host_numbers.h" /* generated: the calls that this bundle's parts declare */

enum {
    PROT_READ = 1,
    PROT_WRITE = 2,
    MAP_SHARED = 1,
    MAP_PRIVATE = 2,
    MAP_ANONYMOUS = 0x20,
    MAP_NORESERVE = 0x4000,
    MAP_FIXED_NOREPLACE = 0x100000,
    MADV_HUGEPAGE = 14,
    MADV_POPULATE_WRITE = 23
};

enum { O_RDONLY = 0, O_RDWR = 2, O_NONBLOCK = 04000, O_CLOEXEC = 02000000 };
enum { O_PATH = 010000000, O_DIRECTORY = 0200000, AT_FDCWD = -100 };
enum { F_GETFD = 1, F_SETFL = 4, F_DUPFD_CLOEXEC = 1030, SEEK_END = 2, EPOLL_CTL_ADD = 1 };
enum { AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = O_CLOEXEC };
enum { HOST_EPERM = 1, HOST_ENOENT = 2, HOST_EINTR = 4, HOST_EIO = 5 };
enum { HOST_EBADF = 9, HOST_EAGAIN = 11, HOST_EISDIR = 21, HOST_ENOSYS = 38 };
enum { HOST_EACCES = 13, HOST_EFAULT = 14, HOST_EBUSY = 16, HOST_ENODEV = 19, HOST_ENOTDIR = 20 };
enum {
    HOST_EINVAL = 22,
    HOST_EMFILE = 24,
    HOST_EROFS = 30,
    HOST_EBADFD = 77,
    HOST_ENETDOWN = 100,
    HOST_ENOBUFS = 105
};
enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1 };
enum { PR_SET_NO_NEW_PRIVS = 38, SECCOMP_SET_MODE_FILTER = 1 };
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, POLLIN = 1, POLLOUT = 4, SIGALRM = 14 };
enum { S_IFMT = 0170000, S_IFCHR = 0020000, S_IFDIR = 0040000, S_IFREG = 0100000 };

struct timespec {
    s64 seconds, nanoseconds;
};

struct pollfd {
    s32 fd;
    u16 events, ready;
};

#include "host_call.h"

#endif
