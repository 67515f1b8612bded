/*
 * Performs the system calls that standard input lists, and prints what each gave.
 *
 * A line "= FOLDER" starts over: no descriptors, a known umask, that folder.  Any other
 * line is a call's number and up to six arguments, each a letter and its value:
 *   i a number            s a string             w bytes to write: how many
 *   r a buffer of bytes   u, v buffers to write and read: how many bytes each, by commas
 *   S struct stat         X struct statx         D a buffer of directory entries
 *   F two descriptors     T two times: four numbers     O an offset
 *   P poll entries: descriptor and events, all by commas
 *   E an epoll event: events and data     G epoll events to fill in: how many
 *   Q descriptors as a set                N a number's eight bytes     M the same, a signal mask
 *   V seconds and microseconds, told again     W seconds and nanoseconds
 *   I, J a timer's interval and value: to set, and to fill in
 *   p, t own process and thread             K signals to fill in: how many
 *   d the same of getdents
 *   n numbers of 64 bits  L the same, a struct flock: whose process is left out
 *   Z a structure to fill in: which of its words are told; with a minus, whether they are zero
 *   m a place in a mapping: which of those that were made, and how far in it
 *
 * Two numbers are no calls: -1 reads memory (where, how much), -2 sets it (and to what).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT = 900, ROOM = 1 << 18, MOST = 64, CALLS = 1 << 20 };
enum { BAD = 8 };             /* an address where nothing is */
enum { PIPE_SURE = 28000 };   /* whatever pages its bytes are in */
enum { SOCKET_SURE = 16000 }; /* Linux counts more than the bytes */

static char input[CALLS], output[CALLS], bytes[ROOM], data[ROOM];
static size_t printed;

#define PRINT(...) (printed += (size_t)snprintf(output + printed, CALLS - printed, __VA_ARGS__))

static uint32_t digest(const char *from, long size) {
    uint32_t hash = 2166136261;
    for (long i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)from[i]) * 16777619;
    return hash;
}

/* A file by the order of its first appearance: numbers differ, identities must not. */
static uint64_t seen[256][2];
static int seen_count;

static int identity(uint64_t device, uint64_t number) {
    int i = 0;
    while (i < seen_count && (seen[i][0] != device || seen[i][1] != number))
        i++;
    if (i == seen_count && i < 256)
        seen[i][0] = device, seen[i][1] = number, seen_count++;
    return i;
}

/* Times of now differ from run to run; the ones before 2004 were set. */
static int was_set(uint32_t mode, int64_t seconds) {
    return seconds < 1 << 30 && mode & S_IFMT && !S_ISFIFO(mode);
}

static void print_file(uint32_t mode, uint64_t links, uint32_t owner, uint64_t size, long blksize,
                       int64_t seconds, uint32_t nanoseconds, int64_t accessed, int file) {
    int is_set = was_set(mode, seconds);
    if (S_ISFIFO(mode))
        mode = S_IFIFO, owner = 0; /* a pipe's stay what they were under Limpet */
    PRINT(" %o %lu %u %ld %ld %ld.%u %ld #%d", mode, links, owner, S_ISDIR(mode) ? 0L : (long)size,
          blksize, is_set ? (long)seconds : -1L, is_set ? nanoseconds : 0,
          was_set(mode, accessed) ? (long)accessed : -1L, file);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_entries(long size, int is_old) {
    char *names[1024];
    int count = 0;
    for (long at = 0; at < size && count < 1024;) {
        struct dirent *each = (struct dirent *)(bytes + at);
        char *end = (char *)each + each->d_reclen - 1, kind = is_old ? *end : each->d_name[-1];
        names[count++] = each->d_name - is_old;
        at += each->d_reclen;
        each->d_name[-1 - is_old] = kind + '0'; /* the type, printed before the name */
    }
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count; i++)
        PRINT(" %s", names[i] - 1);
}

static int numbers(char *text, long *to) {
    int count = 0;
    for (char *at = text; *at && count < MOST; at = *at ? at + 1 : at)
        to[count++] = strtol(at, &at, 0);
    return count;
}

static struct stat stats;
static struct statx statxs;
static struct timespec times[2];
static struct pollfd polled[MOST];
static struct iovec vectors[MOST];
static long words[6][MOST]; /* of each argument */
static int words_count[6];
static int pair[2], polled_count;
static long offset;
static struct epoll_event event, events[MOST];
static fd_set sets[3];
static int set_count;
static uint64_t number_of, mask;
static struct timeval timeout;
static struct timespec timeout_exact;
static struct itimerspec timer, timer_before;
static struct signalfd_siginfo signals[MOST];

/* Mappings in the order in which they were asked for; their addresses are nobody's business. */
enum { MAPPINGS = 64, READ_MEMORY = -1, SET_MEMORY = -2 };
static long mappings[MAPPINGS], mapping_count, mapping_used;

static long argument_in_mapping(char *value) {
    long list[MOST] = {0};
    numbers(value, list);
    mapping_used = list[0] % MAPPINGS;
    return mappings[mapping_used] + list[1];
}

static sigjmp_buf touched;
static siginfo_t fault;

static void faulted(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    fault = *info;
    siglongjmp(touched, 1);
}

static void touch_memory(long what, const long *a) {
    if (sigsetjmp(touched, 1)) {
        PRINT("signal %d %d %ld\n", fault.si_signo, fault.si_code,
              (long)fault.si_addr - mappings[mapping_used]);
        return;
    }
    if (what == READ_MEMORY)
        PRINT("%08x\n", digest((const char *)a[0], a[1]));
    else
        for (long i = 0; i < a[1]; i++)
            ((volatile char *)a[0])[i] = (char)(a[2] + i * 5);
    if (what == SET_MEMORY)
        PRINT("set\n");
}

/* The result of a call that maps, without the address. */
static long mapped(long number, long result) {
    bool failed = (unsigned long)result > -4096UL;
    if (number == SYS_mmap)
        mappings[mapping_count++ % MAPPINGS] = failed ? 0 : result;
    else if (!failed)
        mappings[mapping_used] = result;
    return failed ? result : 0;
}

/* What readiness and timers take. */
static long argument_of_events(char kind, char *value) {
    long list[MOST] = {0};
    fd_set *set;
    switch (kind) {
    case 'E':
        numbers(value, list);
        event = (struct epoll_event){(uint32_t)list[0], {.u64 = (uint64_t)list[1]}};
        return (long)&event;
    case 'G':
        return (long)events;
    case 'Q':
        set = &sets[set_count++ % 3];
        FD_ZERO(set);
        for (int i = 0, count = numbers(value, list); i < count; i++)
            FD_SET(list[i], set);
        return (long)set;
    case 'N':
        number_of = strtoull(value, NULL, 0);
        return (long)&number_of;
    case 'M':
        mask = strtoull(value, NULL, 0);
        return (long)&mask;
    case 'V':
        numbers(value, list);
        timeout = (struct timeval){list[0], list[1]};
        return (long)&timeout;
    case 'W':
        numbers(value, list);
        timeout_exact = (struct timespec){list[0], list[1]};
        return (long)&timeout_exact;
    case 'I':
        numbers(value, list);
        timer = (struct itimerspec){{list[0], list[1]}, {list[2], list[3]}};
        return (long)&timer;
    case 'J':
        return (long)&timer_before;
    case 'K':
        return (long)signals;
    case 'p':
        return getpid();
    case 't':
        return syscall(SYS_gettid);
    default:
        abort();
    }
}

static long argument(int index, char *token) {
    long list[MOST];
    char *value = token + 1;
    size_t at = 0;
    int count;
    switch (*token) {
    case 'i':
        return strtol(value, NULL, 0);
    case 'm':
        return argument_in_mapping(value);
    case 's':
        return (long)value;
    case 'w':
        return (long)data;
    case 'r':
    case 'D':
    case 'd':
        return (long)bytes;
    case 'S':
        return (long)&stats;
    case 'X':
        return (long)&statxs;
    case 'F':
        return (long)pair;
    case 'O':
        offset = strtol(value, NULL, 0);
        return (long)&offset;
    case 'Z':
        memset(bytes, 0x55, 512);
        /* fall through */
    case 'n':
    case 'L':
        words_count[index] = numbers(value, words[index]);
        return *token == 'Z' ? (long)bytes : (long)words[index];
    case 'T':
        numbers(value, list);
        times[0] = (struct timespec){list[0], list[1]};
        times[1] = (struct timespec){list[2], list[3]};
        return (long)times;
    case 'P':
        polled_count = numbers(value, list) / 2;
        for (int i = 0; i < polled_count; i++)
            polled[i] = (struct pollfd){(int)list[2 * i], (short)list[2 * i + 1], 0};
        return (long)polled;
    case 'u':
    case 'v':
        count = numbers(value, list);
        for (int i = 0; i < count; at += (size_t)list[i++])
            vectors[i] = (struct iovec){(*token == 'u' ? data : bytes) + at, (size_t)list[i]};
        return (long)vectors;
    default:
        return argument_of_events(*token, value);
    }
}

static void print_signals(long size) {
    for (long i = 0; i < size / (long)sizeof *signals; i++) {
        const struct signalfd_siginfo *each = &signals[i];
        PRINT(" %u %d %d %d", each->ssi_signo, each->ssi_code, each->ssi_errno, each->ssi_int);
        PRINT(" %d %u", each->ssi_pid == (uint32_t)getpid(), each->ssi_uid);
    }
}

static void print_result_of_events(char kind, long result) {
    switch (kind) {
    case 'G':
        for (long i = 0; i < result && i < MOST; i++)
            PRINT(" %x:%lx", events[i].events, events[i].data.u64);
        break;
    case 'N':
        PRINT(" %lu", number_of);
        break;
    case 'Q':
        for (int set = 0; set_count && set < 3; set++)
            for (int fd = 0; fd < FD_SETSIZE; fd++)
                if (FD_ISSET(fd, &sets[set]))
                    PRINT(" %d:%d", set, fd);
        set_count = 0; /* all of them, once */
        break;
    case 'V':
        PRINT(" %d", timeout.tv_sec || timeout.tv_usec);
        break;
    case 'J': /* what is left is told as what is begun of a second */
        PRINT(" %ld.%09ld", timer_before.it_interval.tv_sec, timer_before.it_interval.tv_nsec);
        PRINT(" %ld", timer_before.it_value.tv_sec + !!timer_before.it_value.tv_nsec);
        break;
    case 'K':
        print_signals(result);
        break;
    }
}

static void print_result(int index, char kind, long result) {
    switch (kind) {
    case 'r':
        if (!result || result % (long)sizeof *signals)
            PRINT(" %08x", digest(bytes, result < ROOM ? result : ROOM));
        break;
    case 'v':
        PRINT(" %08x", digest(bytes, result < ROOM ? result : ROOM));
        break;
    case 'S':
        print_file(stats.st_mode, stats.st_nlink, stats.st_uid + stats.st_gid,
                   (uint64_t)stats.st_size, stats.st_blksize, stats.st_mtim.tv_sec,
                   (uint32_t)stats.st_mtim.tv_nsec, stats.st_atim.tv_sec,
                   identity(stats.st_dev, stats.st_ino));
        break;
    case 'X':
        PRINT(" %x", statxs.stx_mask & 0x7ff);
        print_file(statxs.stx_mode, statxs.stx_nlink, statxs.stx_uid + statxs.stx_gid,
                   statxs.stx_size, statxs.stx_blksize, statxs.stx_mtime.tv_sec,
                   statxs.stx_mtime.tv_nsec, statxs.stx_atime.tv_sec,
                   identity(makedev(statxs.stx_dev_major, statxs.stx_dev_minor), statxs.stx_ino));
        break;
    case 'D':
    case 'd':
        print_entries(result, kind == 'd');
        break;
    case 'F':
        PRINT(" %d %d", pair[0], pair[1]);
        break;
    case 'O':
        PRINT(" %ld", offset);
        break;
    case 'L':
        if ((words[index][3] & 0xffffffff) != 0xffffffff)
            words[index][3] = 0;
        /* fall through */
    case 'n':
        for (int i = 0; i < words_count[index]; i++)
            PRINT(" %lx", words[index][i]);
        break;
    case 'Z':
        for (int i = 0; i < words_count[index]; i++) {
            uint32_t word = ((uint32_t *)bytes)[labs(words[index][i])];
            PRINT(" %x", words[index][i] < 0 ? !word : word);
        }
        break;
    case 'P':
        for (int i = 0; i < polled_count; i++)
            PRINT(" %x", polled[i].revents);
        break;
    default:
        print_result_of_events(kind, result);
    }
}

/* What differs on purpose (see test_differential.py) is left out. */
static int left_out(long number, const long *a) {
    struct stat of;
    int held = 0;
    long size = a[2];
    if (fstat((int)a[0], &of))
        return 0;
    if (S_ISCHR(of.st_mode) && (number == SYS_fstat || size > ROOM))
        return 1;
    if (number == SYS_write && a[1] == BAD)
        return S_ISREG(of.st_mode);
    if (number == SYS_read && a[1] == BAD)
        return !(of.st_mode & S_IFMT);
    if ((number == SYS_getdents64 || number == SYS_getdents) && S_ISDIR(of.st_mode))
        lseek((int)a[0], 0, SEEK_SET); /* and what is new may come in any place */
    if (number == SYS_lseek)
        return S_ISDIR(of.st_mode) && (a[1] || a[2]);
    if (number == SYS_readv || number == SYS_writev) {
        size = 0;
        for (int i = 0; a[1] == (long)vectors && i < a[2] && i < MOST; i++)
            size += (long)vectors[i].iov_len;
        if (!(of.st_mode & S_IFMT))
            return 1;
    }
    if (S_ISSOCK(of.st_mode) && number == SYS_write && !ioctl((int)a[0], FIONREAD, &held))
        return held + size > SOCKET_SURE;
    if (!S_ISFIFO(of.st_mode) || ioctl((int)a[0], FIONREAD, &held))
        return 0;
    if (number == SYS_writev)
        return held + size > PIPE_SURE;
    return number == SYS_sendfile && (held || a[3] > PIPE_SURE);
}

/* In the order in which they were handled. */
static int handled_last;
static void handled(int number) {
    handled_last = handled_last * 100 + number;
}

static void call(char *line) {
    long a[6] = {0};
    char kinds[7] = {0};
    char *rest;
    set_count = 0;
    long number = strtol(strtok_r(line, " ", &rest), NULL, 0);
    for (int i = 0; i < 6; i++) {
        char *token = strtok_r(NULL, " ", &rest);
        if (!token)
            break;
        kinds[i] = *token;
        a[i] = argument(i, token);
    }
    if (number < 0) {
        touch_memory(number, a);
        return;
    }
    if (left_out(number, a)) {
        PRINT("left out\n");
        return;
    }
    memset(&timer_before, 0, sizeof timer_before);
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result < 0)
        result = -errno;
    if (number == SYS_mmap || number == SYS_mremap)
        result = mapped(number, result);
    PRINT("%ld", result);
    for (int i = 0; result >= 0 && kinds[i]; i++)
        print_result(i, kinds[i], result);
    if (handled_last)
        PRINT(" handled %d", handled_last);
    handled_last = 0;
    PRINT("\n");
}

static void start(const char *folder) {
    uint64_t all = ~0UL;
    struct timespec now = {0, 0};
    syscall(SYS_close_range, 0, OUTPUT - 1, 0);
    while (syscall(SYS_rt_sigtimedwait, &all, NULL, &now, 8) > 0)
        continue;
    umask(022);
    struct rlimit files = {1024, 1024}, bytes_most = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_FSIZE, &bytes_most);
    seen_count = 0;
    mapping_count = 0;
    memset(mappings, 0, sizeof mappings);
    PRINT("= %d\n", chdir(folder));
}

int main(void) {
    size_t got = 0;
    for (ssize_t n = 1; n > 0; got += (size_t)n)
        n = read(0, input + got, sizeof input - 1 - got);
    for (int i = 0; i < ROOM; i++)
        data[i] = (char)(i * 7 + i / 251);
    signal(SIGPIPE, SIG_IGN);
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number == SIGUSR1 || number == SIGUSR2 || number == 40)
            signal(number, handled);
    signal(SIGXFSZ, SIG_IGN);
    struct sigaction faults = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &faults, NULL);
    sigaction(SIGBUS, &faults, NULL);
    if (dup2(1, OUTPUT) != OUTPUT)
        return 1;
    char *rest, *line = strtok_r(input, "\n", &rest);
    for (; line; line = strtok_r(NULL, "\n", &rest)) {
        if (*line == '=')
            start(line + 2);
        else
            call(line);
        if (printed > CALLS / 2 || !*rest) {
            if (write(OUTPUT, output, printed) != (ssize_t)printed)
                return 1;
            printed = 0;
        }
    }
    return 0;
}
