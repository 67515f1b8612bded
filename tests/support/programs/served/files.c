/* Descriptors and what is behind them. */
#define _GNU_SOURCE
#include "served.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LAST ((1L << 63) - 1)

static void another_flock_conflicts(void) {
    int first = open("lock", O_RDWR | O_CREAT, 0600), second = open("lock", O_RDWR);
    SHOW("first", flock(first, LOCK_EX));
    SHOW("second", flock(second, LOCK_SH | LOCK_NB));
    SHOW("shared", flock(first, LOCK_SH));
    SHOW("second", flock(second, LOCK_SH | LOCK_NB));
    SHOW("both", flock(first, LOCK_EX | LOCK_NB));
    close(second);
    SHOW("alone", flock(first, LOCK_EX | LOCK_NB));
    close(first);
}

static void locks_of_open_files_conflict(void) {
    int first = open("lock", O_RDWR | O_CREAT, 0600), second = open("lock", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_len = 10}, more = {.l_type = F_RDLCK, .l_start = 5};
    SHOW("first", fcntl(first, F_OFD_SETLK, &lock));
    SHOW("second", fcntl(second, F_OFD_SETLK, &more));
    SHOW("asked", fcntl(second, F_OFD_GETLK, &more));
    printf("  %d from %ld for %ld by %d\n", more.l_type, (long)more.l_start, (long)more.l_len,
           more.l_pid);
    more = (struct flock){.l_type = F_RDLCK, .l_start = 10, .l_len = 5};
    SHOW("behind", fcntl(second, F_OFD_SETLK, &more));
    lock.l_pid = 1;
    SHOW("of a process", fcntl(first, F_OFD_SETLK, &lock));
    close(first);
    close(second);
}

static void fioclex_closes_on_exec(void) {
    int fd = new_file(0);
    SHOW("set", ioctl(fd, FIOCLEX));
    SHOW("flags", fcntl(fd, F_GETFD));
    SHOW("unset", ioctl(fd, FIONCLEX));
    SHOW("flags", fcntl(fd, F_GETFD));
    SHOW("closed", ioctl(99, FIOCLEX));
    close(fd);
}

static void null_takes_pwrite(void) {
    int fd = open("/dev/null", O_RDWR);
    SHOW("pwrite", pwrite(fd, "abc", 3, 7));
    SHOW("pread", pread(fd, &fd, 1, 7));
    SHOW("seek", lseek(fd, 5, SEEK_SET));
    close(fd);
}

static void offsets_do_not_overflow(void) {
    char bytes[8];
    int fd = new_file(10);
    SHOW("pread", pread(fd, bytes, 8, LAST - 2));
    SHOW("pwrite", pwrite(fd, bytes, 8, LAST - 2));
    SHOW("negative", pread(fd, bytes, 8, -1));
    SHOW("seek", lseek(fd, LAST, SEEK_END));
    SHOW("truncate", ftruncate(fd, -1));
    SHOW("allocate", fallocate(fd, 0, LAST - 2, 10));
    SHOW("lock", fcntl(fd, F_SETLK, &(struct flock){.l_start = LAST, .l_len = 2}));
    close(fd);
}

static void sendfile_refuses_what_cannot_be(void) {
    int from = new_file(10), to = open("/dev/null", O_WRONLY);
    off_t at = LAST - 2;
    SHOW("negative", sendfile(to, from, NULL, (size_t)-1));
    SHOW("overflow", sendfile(to, from, &at, 10));
    at = -1;
    SHOW("before", sendfile(to, from, &at, 10));
    at = 4;
    SHOW("some", sendfile(to, from, &at, 100));
    printf("  now %ld\n", (long)at);
    close(from), close(to);
}

static void access_times_move(void) {
    struct timespec old[2] = {{1000, 0}, {2000, 0}};
    struct stat stat;
    char byte;
    int fd = new_file(10);
    futimens(fd, old);
    SHOW("read", read(fd, &byte, 1));
    fstat(fd, &stat);
    printf("  accessed %d modified %ld\n", stat.st_atim.tv_sec > 1000, (long)stat.st_mtim.tv_sec);
    close(fd);
}

static void directories_take_absurd_sizes(void) {
    char bytes[4096];
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    SHOW("none", syscall(SYS_getdents64, fd, bytes, 0));
    SHOW("little", syscall(SYS_getdents64, fd, bytes, 10));
    SHOW("negative", syscall(SYS_getdents64, fd, bytes, -1) > 0);
    lseek(fd, 0, SEEK_SET);
    SHOW("old, none", syscall(SYS_getdents, fd, bytes, 0));
    SHOW("old", syscall(SYS_getdents, fd, bytes, 4096) > 0);
    SHOW("a file", syscall(SYS_getdents64, new_file(0), bytes, 4096));
    close(fd);
}

static void files_of_proc_are_sought_in(void) {
    char first = 0, second = 0;
    int fd = open("/proc/self/status", O_RDONLY);
    SHOW("read", read(fd, &first, 1));
    SHOW("start", lseek(fd, 0, SEEK_SET));
    SHOW("read", read(fd, &second, 1));
    printf("  %c%c\n", first, second);
    SHOW("ahead", lseek(fd, 3, SEEK_CUR));
    SHOW("end", lseek(fd, 0, SEEK_END));
    SHOW("negative", lseek(fd, -1, SEEK_SET));
    close(fd);
}

static void show_next(int fd, long at) {
    printf("  %ld: data %ld hole %ld\n", at, (long)lseek(fd, at, SEEK_DATA),
           (long)lseek(fd, at, SEEK_HOLE));
}

static void holes_are_sought(void) {
    static char bytes[5000] = {1};
    struct stat stat;
    int fd = new_file(0);
    ftruncate(fd, 1 << 20);
    SHOW("none", lseek(fd, 0, SEEK_DATA));
    pwrite(fd, bytes, 1, 200000);
    pwrite(fd, bytes, 5000, 500000);
    for (long at = 0; at < 600000; at += 99999)
        show_next(fd, at);
    fsync(fd);
    fstat(fd, &stat);
    printf("  blocks %d\n", stat.st_blocks > 0 && stat.st_blocks < 100);
    SHOW("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 196608, 65536));
    show_next(fd, 0);
    ftruncate(fd, 501000);
    show_next(fd, 0);
    pwrite(fd, bytes, 1, 10);
    show_next(fd, 0);
    SHOW("end", lseek(fd, 501000, SEEK_DATA));
    SHOW("end", lseek(fd, 501000, SEEK_HOLE));
    close(fd);
    fd = new_file(10);
    show_next(fd, 3);
    ftruncate(fd, 40000);
    show_next(fd, 3);
    show_next(fd, 5000);
    close(fd);
}

static void descriptors_are_limited(void) {
    struct rlimit before, few = {8, 8};
    getrlimit(RLIMIT_NOFILE, &before);
    few.rlim_max = before.rlim_max;
    SHOW("set", setrlimit(RLIMIT_NOFILE, &few));
    getrlimit(RLIMIT_NOFILE, &few);
    printf("  now %ld\n", (long)few.rlim_cur);
    SHOW("dup to", dup2(1, 8));
    SHOW("dup from", fcntl(1, F_DUPFD, 8));
    int last = 0, fd;
    while ((fd = dup(1)) >= 0)
        last = fd;
    printf("  last %d errno %d\n", last, errno);
    few.rlim_cur = before.rlim_max + 1;
    SHOW("beyond", before.rlim_max == RLIM_INFINITY ? -1 : setrlimit(RLIMIT_NOFILE, &few));
    while (last > 2)
        close(last--);
    setrlimit(RLIMIT_NOFILE, &before);
}

/* What has no name gets one through its descriptor, once, unless it is never to have any. */
static void files_without_names_get_one(void) {
    char name[64], path[64];
    snprintf(name, sizeof name, "/dev/shm%s", own_name());
    for (int never = 0; never < 2; never++) {
        int fd = open("/dev/shm", O_TMPFILE | O_RDWR | (never ? O_EXCL : 0), 0600);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        SHOW("write", write(fd, "abc", 3));
        SHOW("the link itself", linkat(AT_FDCWD, path, AT_FDCWD, name, 0));
        SHOW("named", linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW));
        SHOW("there", access(name, W_OK));
        SHOW("taken", linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW));
        SHOW("removed", unlink(name));
        SHOW("again", linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW));
        close(fd);
    }
}

static void files_tell_what_is_left_of_them(void) {
    int fd = new_file(10), left = -1, size = -1;
    lseek(fd, 3, SEEK_SET);
    SHOW("left", ioctl(fd, FIONREAD, &left));
    printf("  %d\n", left);
    lseek(fd, 15, SEEK_SET);
    SHOW("behind", ioctl(fd, FIONREAD, &left));
    SHOW("block", ioctl(fd, FIGETBSZ, &size));
    printf("  %d %d\n", left, size > 0);
    SHOW("no terminal", ioctl(fd, TIOCGWINSZ, &size));
    close(fd);
}

const struct served_case files[] = {
    {"another_flock_conflicts", another_flock_conflicts},
    {"locks_of_open_files_conflict", locks_of_open_files_conflict},
    {"fioclex_closes_on_exec", fioclex_closes_on_exec},
    {"null_takes_pwrite", null_takes_pwrite},
    {"offsets_do_not_overflow", offsets_do_not_overflow},
    {"sendfile_refuses_what_cannot_be", sendfile_refuses_what_cannot_be},
    {"access_times_move", access_times_move},
    {"directories_take_absurd_sizes", directories_take_absurd_sizes},
    {"files_of_proc_are_sought_in", files_of_proc_are_sought_in},
    {"holes_are_sought", holes_are_sought},
    {"files_without_names_get_one", files_without_names_get_one},
    {"files_tell_what_is_left_of_them", files_tell_what_is_left_of_them},
    {"descriptors_are_limited", descriptors_are_limited},
    {NULL, NULL}};
