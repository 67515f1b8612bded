/* The host kernel, as far as monitors call it: x86-64 Linux numbers and constants
 * (uapi asm/unistd_64.h and the headers named below). */
#ifndef LIMPET_HOST_H
#define LIMPET_HOST_H

#include "contract.h"

enum {
    NR_READ = 0,
    NR_WRITE = 1,
    NR_CLOSE = 3,
    NR_FSTAT = 5,
    NR_POLL = 7,
    NR_LSEEK = 8,
    NR_MMAP = 9,
    NR_MPROTECT = 10,
    NR_MUNMAP = 11,
    NR_RT_SIGACTION = 13,
    NR_RT_SIGPROCMASK = 14,
    NR_IOCTL = 16,
    NR_PREAD64 = 17,
    NR_PWRITE64 = 18,
    NR_MADVISE = 28,
    NR_DUP2 = 33,
    NR_SETITIMER = 38,
    NR_GETPID = 39,
    NR_SOCKET = 41,
    NR_FORK = 57,
    NR_WAIT4 = 61,
    NR_KILL = 62,
    NR_FCNTL = 72,
    NR_FDATASYNC = 75,
    NR_SIGALTSTACK = 131,
    NR_PRCTL = 157,
    NR_CLOCK_GETTIME = 228,
    NR_EXIT_GROUP = 231,
    NR_EPOLL_CTL = 233,
    NR_OPENAT = 257,
    NR_PPOLL = 271,
    NR_TIMERFD_CREATE = 283,
    NR_EPOLL_CREATE1 = 291,
    NR_PIPE2 = 293,
    NR_SECCOMP = 317,
    NR_GETRANDOM = 318,
    NR_PKEY_ALLOC = 330,
    NR_CLOSE_RANGE = 436
};

enum {
    PROT_READ = 1,
    PROT_WRITE = 2,
    MAP_SHARED = 1,
    MAP_PRIVATE = 2,
    MAP_ANONYMOUS = 0x20,
    MAP_NORESERVE = 0x4000,
    MAP_FIXED_NOREPLACE = 0x100000,
    MADV_HUGEPAGE = 14
};

enum { O_RDONLY = 0, O_RDWR = 2, O_NONBLOCK = 04000, O_CLOEXEC = 02000000, AT_FDCWD = -100 };
enum { F_SETFL = 4, F_DUPFD_CLOEXEC = 1030, SEEK_END = 2, EPOLL_CTL_ADD = 1 };
enum { AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = O_CLOEXEC };
enum {
    HOST_EPERM = 1,
    HOST_ENOENT = 2,
    HOST_EINTR = 4,
    HOST_EAGAIN = 11,
    HOST_EACCES = 13,
    HOST_EFAULT = 14,
    HOST_EBUSY = 16,
    HOST_ENODEV = 19,
    HOST_EINVAL = 22,
    HOST_ENETDOWN = 100,
    HOST_ENOBUFS = 105
};
enum { PR_SET_NO_NEW_PRIVS = 38, SECCOMP_SET_MODE_FILTER = 1 };
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, POLLIN = 1, POLLOUT = 4, SIGALRM = 14 };
enum { S_IFMT = 0170000, S_IFCHR = 0020000 };
enum { TCGETS = 0x5401, TIOCGWINSZ = 0x5413 };

struct timespec {
    s64 seconds, nanoseconds;
};

struct pollfd {
    s32 fd;
    u16 events, ready;
};

static inline long host6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long host3(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long host4(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
