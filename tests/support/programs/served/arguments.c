/* Arguments that Linux refuses. */
#define _GNU_SOURCE
#include "served.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

static long map(long length, long flags, int fd, long offset) {
    long got = syscall(SYS_mmap, 0, length, PROT_READ, flags, fd, offset);
    return got == -1 ? -1 : 0;
}

static void a_mapping_is_private_or_shared(void) {
    int fd = new_file(10);
    SHOW("neither", map(PAGE, 0, fd, 0));
    SHOW("anonymous", map(PAGE, MAP_ANONYMOUS, -1, 0));
    SHOW("both", map(PAGE, MAP_PRIVATE | MAP_SHARED | 0x10000000, fd, 0));
    SHOW("validated", map(PAGE, MAP_SHARED_VALIDATE, fd, 0));
    SHOW("validated", map(PAGE, MAP_SHARED_VALIDATE | 0x10000000, fd, 0));
    SHOW("nothing", map(0, MAP_PRIVATE, fd, 0));
    SHOW("closed", map(PAGE, MAP_PRIVATE, 99, 0));
}

static void far_offsets_overflow(void) {
    int fd = new_file(10);
    SHOW("last page", map(PAGE, MAP_PRIVATE, fd, (1L << 62) * 2 - (long)PAGE));
    SHOW("odd", map(PAGE, MAP_PRIVATE, fd, 1));
    SHOW("beyond", map(PAGE * 2, MAP_PRIVATE, fd, -(long)PAGE));
    SHOW("huge", map(-1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void huge_lengths_are_no_memory(void) {
    char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW("protect", mprotect(at, -1UL, PROT_READ));
    SHOW("protect", mprotect(at, 1UL << 62, PROT_READ));
    SHOW("nothing", mprotect(at, 0, PROT_READ));
    SHOW("odd", mprotect(at + 1, PAGE, PROT_READ));
    SHOW("unknown", mprotect(at, PAGE, 0x80));
    SHOW("unmap", munmap(at, -1UL));
    SHOW("unmap", munmap(at + 1, PAGE));
    SHOW("unmap", munmap(at, 0));
}

static void msync_wants_flags_and_memory(void) {
    char *at = mmap(NULL, PAGE * 2, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(at + PAGE, PAGE);
    SHOW("none", msync(at, PAGE, 0));
    SHOW("both", msync(at, PAGE, MS_SYNC | MS_ASYNC));
    SHOW("unknown", msync(at, PAGE, 8));
    SHOW("odd", msync(at + 1, PAGE, MS_SYNC));
    SHOW("hole", msync(at, PAGE * 2, MS_SYNC));
    SHOW("huge", msync(at, -PAGE, MS_SYNC));
    SHOW("there", msync(at, PAGE, MS_ASYNC));
}

static void advice_is_checked(void) {
    int ends[2], fd = new_file(10);
    pipe(ends);
    SHOW("file", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    SHOW("unknown", posix_fadvise(fd, 0, 0, 17));
    SHOW("negative", posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL));
    SHOW("pipe", posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL));
    SHOW("closed", posix_fadvise(99, 0, 0, POSIX_FADV_NORMAL));
}

static void ranges_are_closed(void) {
    SHOW("unknown", syscall(SYS_close_range, 50, 60, 1));
    SHOW("backwards", syscall(SYS_close_range, 60, 50, 0));
    int fd = fcntl(1, F_DUPFD, 50);
    SHOW("on exec", syscall(SYS_close_range, 50, 60, 4));
    SHOW("flag", fcntl(fd, F_GETFD));
    SHOW("close", syscall(SYS_close_range, 50, ~0U, 0));
    SHOW("closed", fcntl(fd, F_GETFD));
}

static void locks_want_the_mode(void) {
    int ends[2];
    pipe(ends);
    struct flock lock = {.l_type = F_WRLCK}, odd = {.l_type = 7}, read = {.l_type = F_RDLCK};
    struct flock from = {.l_type = F_RDLCK, .l_whence = 5};
    int reads = open("lock", O_RDONLY | O_CREAT, 0600), writes = open("lock", O_WRONLY);
    SHOW("pipe", fcntl(ends[0], F_SETLK, &read));
    SHOW("pipe asked", fcntl(ends[0], F_GETLK, &read));
    SHOW("for reading", fcntl(reads, F_SETLK, &lock));
    SHOW("for writing", fcntl(writes, F_SETLK, &read));
    SHOW("kind", fcntl(reads, F_SETLK, &odd));
    SHOW("from", fcntl(reads, F_SETLK, &from));
    SHOW("path", fcntl(open("lock", O_PATH), F_SETLK, &read));
    SHOW("closed", fcntl(99, F_SETLK, &read));
}

static void masks_have_a_size(void) {
    uint64_t mask = 0;
    struct timespec none = {0, 0};
    struct {
        const void *mask;
        size_t size;
    } odd = {&mask, 4}, right = {&mask, 8};
    SHOW("ppoll", syscall(SYS_ppoll, NULL, 0, &none, &mask, 4));
    SHOW("ppoll", syscall(SYS_ppoll, NULL, 0, &none, &mask, 8));
    SHOW("ppoll", syscall(SYS_ppoll, NULL, 0, &none, NULL, 4));
    SHOW("pselect", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &none, &odd));
    SHOW("pselect", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &none, &right));
    SHOW("procmask", syscall(SYS_rt_sigprocmask, 0, NULL, NULL, 4));
    SHOW("pending", syscall(SYS_rt_sigpending, &mask, 9));
    SHOW("suspend", syscall(SYS_rt_sigsuspend, &mask, 4));
    SHOW("wait", syscall(SYS_rt_sigtimedwait, &mask, NULL, &none, 4));
    SHOW("action", syscall(SYS_rt_sigaction, SIGINT, NULL, NULL, 4));
}

static void impossible_ids_are_refused(void) {
    struct sched_param none = {0}, odd = {5};
    unsigned long cpus[16] = {0};
    SHOW("tgkill", syscall(SYS_tgkill, -1, 1, 0));
    SHOW("tgkill", syscall(SYS_tgkill, getpid(), -1, 0));
    SHOW("tgkill", syscall(SYS_tgkill, getpid(), 0, 0));
    SHOW("tgkill", syscall(SYS_tgkill, getpid(), 4194300, 0));
    SHOW("tgkill", syscall(SYS_tgkill, getpid(), getpid(), 65));
    SHOW("tkill", syscall(SYS_tkill, 0, 0));
    SHOW("tkill", syscall(SYS_tkill, -5, 0));
    SHOW("tkill", syscall(SYS_tkill, 4194300, 0));
    SHOW("get", syscall(SYS_sched_getscheduler, -1));
    SHOW("get", syscall(SYS_sched_getscheduler, 4194300));
    SHOW("param", syscall(SYS_sched_getparam, -1, &none));
    SHOW("param", syscall(SYS_sched_getparam, 0, NULL));
    SHOW("set", syscall(SYS_sched_setscheduler, -1, SCHED_OTHER, &none));
    SHOW("set", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &odd));
    SHOW("set", syscall(SYS_sched_setscheduler, 0, 77, &none));
    SHOW("most", sched_get_priority_max(77));
    SHOW("affinity", syscall(SYS_sched_getaffinity, 4194300, sizeof cpus, cpus));
    SHOW("affinity", syscall(SYS_sched_getaffinity, 0, 1, cpus));
}

static void groups_are_counted(void) {
    SHOW("negative", getgroups(-1, NULL));
    SHOW("process group", getpgid(-1));
    SHOW("session", getsid(-1));
}

static void lists_of_robust_locks_are_kept(void) {
    static struct robust_list_head head;
    void *got = NULL;
    size_t size = 0;
    SHOW("set", syscall(SYS_set_robust_list, &head, sizeof head));
    SHOW("size", syscall(SYS_set_robust_list, &head, sizeof head - 1));
    SHOW("get", syscall(SYS_get_robust_list, 0, &got, &size));
    printf("  %d %zu\n", got == &head, size);
    SHOW("nobody", syscall(SYS_get_robust_list, 4194300, &got, &size));
    SHOW("nowhere", syscall(SYS_get_robust_list, 0, NULL, &size));
}

#define MIB (1L << 20)

static long anonymous(long length, int rights, long flags, void *at) {
    void *got = mmap(at, length, rights, flags | MAP_ANONYMOUS, -1, 0);
    return got == MAP_FAILED ? -1 : 0;
}

static void limit(int resource, rlim_t bytes) {
    struct rlimit now;
    getrlimit(resource, &now);
    now.rlim_cur = bytes ? bytes : now.rlim_max;
    SHOW("limit", setrlimit(resource, &now));
}

/* With 20 MiB there already, of 32. */
static void memory_is_limited(void) {
    const int both = PROT_READ | PROT_WRITE;
    char *there = mmap(NULL, 20 * MIB, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    limit(RLIMIT_AS, 32 * MIB);
    SHOW("less", anonymous(4 * MIB, PROT_NONE, MAP_PRIVATE, NULL));
    SHOW("more", anonymous(16 * MIB, PROT_NONE, MAP_PRIVATE, NULL));
    SHOW("shared", anonymous(16 * MIB, both, MAP_SHARED, NULL));
    SHOW("over it", anonymous(16 * MIB, both, MAP_PRIVATE | MAP_FIXED, there));
    SHOW("longer", mremap(there, 20 * MIB, 36 * MIB, MREMAP_MAYMOVE) == MAP_FAILED);
    SHOW("heap", sbrk(16 * MIB) == (void *)-1);
    limit(RLIMIT_AS, 0);
    limit(RLIMIT_DATA, 28 * MIB);
    char *none = mmap(NULL, 16 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW("no data", none == MAP_FAILED);
    SHOW("now data", mprotect(none, 16 * MIB, both));
    SHOW("data", anonymous(16 * MIB, both, MAP_PRIVATE, NULL));
    SHOW("heap", sbrk(16 * MIB) == (void *)-1);
    SHOW("less", mprotect(none, 1 * MIB, both));
    limit(RLIMIT_DATA, 0);
    SHOW("again", mprotect(none, 16 * MIB, both));
    munmap(there, 20 * MIB), munmap(none, 16 * MIB);
}

const struct served_case arguments[] = {
    {"a_mapping_is_private_or_shared", a_mapping_is_private_or_shared},
    {"far_offsets_overflow", far_offsets_overflow},
    {"huge_lengths_are_no_memory", huge_lengths_are_no_memory},
    {"msync_wants_flags_and_memory", msync_wants_flags_and_memory},
    {"advice_is_checked", advice_is_checked},
    {"ranges_are_closed", ranges_are_closed},
    {"locks_want_the_mode", locks_want_the_mode},
    {"masks_have_a_size", masks_have_a_size},
    {"impossible_ids_are_refused", impossible_ids_are_refused},
    {"groups_are_counted", groups_are_counted},
    {"lists_of_robust_locks_are_kept", lists_of_robust_locks_are_kept},
    {"memory_is_limited", memory_is_limited},
    {NULL, NULL}};
