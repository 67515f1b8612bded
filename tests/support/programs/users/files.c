/* What others than root may do, of every kind of file: the same here as on Linux.
 *
 * The program goes on as root behind each try, so that one process tries all. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { ROOT, OWNER = 1000, MEMBER = 1001, OTHER = 1002, GROUP = 2000 };

static const mode_t modes[] = {0, 0412, 0241, 0124, 0777, 01777, 02775, 01770};
#define MODES (sizeof modes / sizeof *modes)

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void must(long result, const char *what) {
    if (result < 0)
        fail(what);
}

static void put(const char *path, mode_t mode) {
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    must(fd, path);
    must(write(fd, "text", 4), path);
    close(fd);
    must(chown(path, OWNER, GROUP), path);
    must(chmod(path, mode), path);
}

/* d is a folder with everybody's files; f a file in one where everybody may do everything. */
static void make(mode_t mode) {
    must(mkdir("all", 0777), "all");
    must(chmod("all", 0777), "all");
    must(mkdir("d", 0700), "d");
    must(mkdir("d/sub", 0777), "d/sub");
    put("d/file", 0666);
    put("d/roots", 0666);
    must(chown("d/roots", 0, 0), "d/roots");
    put("all/f", mode);
    must(symlink("d/file", "all/link"), "link");
    must(chown("d", OWNER, GROUP), "d");
    must(chmod("d", mode), "d");
}

static void clear(const char *path) {
    struct stat status;
    if (lstat(path, &status))
        return;
    if (!S_ISDIR(status.st_mode)) {
        must(unlink(path), path);
        return;
    }
    DIR *folder = opendir(path);
    for (struct dirent *each; (each = readdir(folder));) {
        char below[600];
        if (!strcmp(each->d_name, ".") || !strcmp(each->d_name, ".."))
            continue;
        snprintf(below, sizeof below, "%s/%s", path, each->d_name);
        clear(below);
    }
    closedir(folder);
    must(rmdir(path), path);
}

static void closed(long fd) {
    if (fd >= 0)
        close((int)fd);
}

static long opened(const char *path, int flags) {
    long fd = open(path, flags, 0666);
    closed(fd);
    return fd < 0 ? fd : 0;
}

static long listed(const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    closedir(folder);
    return 0;
}

static long connected(const char *path) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    strcpy(name.sun_path, path);
    long result = bind(fd, (struct sockaddr *)&name, sizeof name);
    close(fd);
    return result;
}

static long moved_into(void) {
    long result = chdir("d");
    int error = errno;
    if (!result)
        must(chdir(".."), "..");
    errno = error;
    return result;
}

static long timed(const char *path, long seconds, long now) {
    const struct timespec times[] = {{seconds, now ? UTIME_NOW : 0},
                                     {seconds, now == 1 ? UTIME_NOW : 5}};
    return utimensat(AT_FDCWD, path, now < 0 ? NULL : times, 0);
}

static long try(int what) {
    switch (what) {
#define TRY(number, call)                                                                          \
    case number:                                                                                   \
        return call;
        TRY(0, opened("all/f", O_RDONLY))
        TRY(1, opened("all/f", O_WRONLY))
        TRY(2, opened("all/f", O_RDWR | O_APPEND))
        TRY(3, opened("all/f", O_RDONLY | O_TRUNC))
        TRY(4, opened("all/f", O_RDONLY | O_NOATIME))
        TRY(5, opened("all/f", O_PATH))
        TRY(6, opened("all/new", O_CREAT | O_WRONLY | O_EXCL))
        TRY(7, faccessat(AT_FDCWD, "all/f", R_OK, AT_EACCESS))
        TRY(8, faccessat(AT_FDCWD, "all/f", W_OK, AT_EACCESS))
        TRY(9, faccessat(AT_FDCWD, "all/f", X_OK, AT_EACCESS))
        TRY(10, access("all/f", R_OK | W_OK))
        TRY(11, truncate("all/f", 1))
        TRY(12, chmod("all/f", 06777))
        TRY(13, chown("all/f", OTHER, -1))
        TRY(14, chown("all/f", -1, GROUP))
        TRY(15, chown("all/f", -1, OTHER))
        TRY(16, chown("all/f", OWNER, GROUP))
        TRY(17, timed("all/f", 7, 0))
        TRY(18, timed("all/f", 7, 1))
        TRY(19, timed("all/f", 7, -1))
        TRY(20, timed("all/f", 7, 2))
        TRY(21, listed("d"))
        TRY(22, moved_into())
        TRY(23, opened("d/file", O_RDONLY))
        TRY(24, opened("d/absent", O_RDONLY))
        TRY(25, opened("d/new", O_CREAT | O_WRONLY))
        TRY(26, opened("d/file", O_CREAT | O_RDWR))
        TRY(27, opened("d", O_TMPFILE | O_RDWR))
        TRY(28, unlink("d/file"))
        TRY(29, unlink("d/roots"))
        TRY(30, unlink("d/sub"))
        TRY(31, unlink("d/absent"))
        TRY(32, rmdir("d/sub"))
        TRY(33, rmdir("d/file"))
        TRY(34, mkdir("d/new", 0777))
        TRY(35, mkdir("d/file", 0777))
        TRY(36, symlink("x", "d/new"))
        TRY(37, mkfifo("d/new", 0666))
        TRY(38, mknod("d/new", S_IFSOCK | 0666, 0))
        TRY(39, rename("d/file", "all/moved"))
        TRY(40, rename("d/roots", "d/moved"))
        TRY(41, rename("all/f", "d/file"))
        TRY(42, rename("all/f", "d/new"))
        TRY(43, rename("d/sub", "all/sub"))
        TRY(44, rename("all/f", "d/sub"))
        TRY(45, syscall(SYS_renameat2, AT_FDCWD, "d/file", AT_FDCWD, "all/f", 2))
        TRY(46, chmod("d/file", 0))
        TRY(47, faccessat(AT_FDCWD, "d", R_OK | W_OK | X_OK, AT_EACCESS))
        TRY(48, opened("all/link", O_RDONLY))
        TRY(49, lchown("all/link", OTHER, -1))
        TRY(50, connected("d/socket"))
        TRY(51, chmod("d", 0777))
        TRY(52, faccessat(AT_FDCWD, "d/sub/..", F_OK, AT_EACCESS))
        TRY(53, opened("d/", O_RDONLY | O_DIRECTORY))
        TRY(54, opened("d/.", O_WRONLY))
        TRY(55, opened("d/sub/new", O_CREAT | O_EXCL | O_WRONLY))
    default:
        return -2;
    }
}

static void tell(const char *path) {
    struct stat status;
    if (lstat(path, &status))
        return;
    printf(" %s %u %u %o", path, status.st_uid, status.st_gid, status.st_mode);
}

/* As `user` in `group`, which may be a member of GROUP besides. */
static void all(const char *name, uid_t user, gid_t group, bool member) {
    const gid_t others[] = {5, GROUP, 7};
    for (size_t i = 0; i < MODES; i++)
        for (int what = 0;; what++) {
            make(modes[i]);
            must(setgroups(member ? 3 : 0, others), "setgroups");
            must(setresgid(-1, group, 0), "setresgid");
            must(setresuid(-1, user, 0), "setresuid");
            errno = 0;
            long result = try(what);
            int error = errno;
            must(setresuid(-1, 0, -1), "back");
            must(setresgid(-1, 0, -1), "back");
            if (result != -2) {
                printf("%s %o %d: %ld %d", name, modes[i], what, result, result ? error : 0);
                const char *paths[] = {"all/new", "d/new", "d/socket", "all/f", "d/sub/new"};
                for (int at = 0; !result && at < 5; at++)
                    tell(paths[at]);
                puts("");
            }
            clear("all");
            clear("d");
            if (result == -2)
                break;
        }
}

int main(void) {
    umask(022);
    all("owner", OWNER, OTHER, false);
    all("group", OTHER, GROUP, false);
    all("member", MEMBER, MEMBER, true);
    all("other", OTHER, OTHER, false);
    all("root", ROOT, OTHER, false);
    return 0;
}
