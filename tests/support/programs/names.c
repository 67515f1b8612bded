/* Names below a folder, natively or on a volume: the same lines on either. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SAY(call) printf("%s: %s\n", #call, (call) < 0 ? strerror(errno) : "good")

static void say_mode(const char *path) {
    struct stat found;
    if (lstat(path, &found))
        printf("%s: %s\n", path, strerror(errno));
    else
        printf("%s: %o, %ld links, %ld.%09ld\n", path, found.st_mode,
               S_ISDIR(found.st_mode) ? 0 : (long)found.st_nlink,
               found.st_mtim.tv_sec < 2000000000 && found.st_mtim.tv_sec > 1000
                   ? 1
                   : (long)found.st_mtim.tv_sec,
               found.st_mtim.tv_sec > 1000 ? 0 : found.st_mtim.tv_nsec);
}

/* Who runs it owns it. */
static void say_owner(const char *path) {
    struct stat found;
    stat(path, &found);
    printf("%s: %d %d\n", path, found.st_uid == getuid(), found.st_gid == getgid());
}

/* Nobody may open it: its owner may still change that. */
static void say_no_rights(void) {
    int closed = open("closed", O_CREAT | O_RDWR, 0600);
    SAY(fchmod(closed, 0));
    SAY(write(closed, "more", 4));
    SAY(chmod("closed", 0));
    say_mode("closed");
    SAY(fchmod(closed, 0640));
    SAY(chmod("closed", 0));
    SAY(chmod("closed", 0400));
    say_mode("closed");
    close(closed);
    SAY(mkdir("locked", 0700));
    SAY(chmod("locked", 0));
    SAY(chmod("locked", 01755));
    say_mode("locked");
    SAY(syscall(452, AT_FDCWD, "locked", 0700, 0)); /* fchmodat2 */
    SAY(syscall(452, AT_FDCWD, "link", 0700, AT_SYMLINK_NOFOLLOW));
    say_mode("locked");
}

/* What /proc says of an open file, from the volume on, and what it leads to once more. */
static void say_open(const char *volume) {
    char name[64], text[256] = {0};
    SAY(symlink("odd", "to odd"));
    int fd = open("folder/../to odd", O_RDONLY), again, left = 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    SAY(readlink(name, text, sizeof text - 1));
    puts(text + strlen(volume));
    again = open(name, O_RDWR | O_TRUNC);
    SAY(write(again, "new", 3));
    SAY(read(fd, text, 9));
    SAY(lseek(fd, 1, SEEK_SET));
    SAY(ioctl(fd, FIONREAD, &left));
    SAY(unlink("odd"));
    memset(text, 0, sizeof text);
    SAY(readlink(name, text, sizeof text - 1));
    printf("%s, %d left\n", text + strlen(volume), left);
    fd = open(".", O_RDONLY);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    memset(text, 0, sizeof text);
    SAY(readlink(name, text, sizeof text - 1));
    puts(text + strlen(volume));
    SAY(open(name, O_RDONLY | O_DIRECTORY));
}

static void say_opened(const char *path) {
    struct stat found;
    if (lstat(path, &found))
        printf("%s: %s\n", path, strerror(errno));
    else
        printf("%s: %o, %d\n", path, found.st_mode,
               found.st_mtim.tv_sec == 9 && found.st_mtim.tv_nsec == 11);
}

/* An open file keeps being the one that changes, whatever has its name meanwhile. */
static void say_moved(void) {
    const struct timespec times[2] = {{5, 7}, {9, 11}};
    int file = open("first", O_CREAT | O_RDWR, 0600);
    close(open("second", O_CREAT | O_RDWR, 0600));
    SAY(rename("first", "a longer name than that"));
    SAY(rename("second", "first"));
    SAY(fchmod(file, 0640));
    SAY(futimens(file, times));
    say_opened("first");
    say_opened("a longer name than that");
    SAY(mkdir("at", 0700));
    SAY(mkdir("at/in", 0700));
    int folder = open("at", O_RDONLY), in = open("at/in", O_RDONLY);
    SAY(chdir("at/in"));
    SAY(rename("../../at", "../../elsewhere"));
    SAY(mkdir("../../at", 0700));
    SAY(mkdir("here", 0700));
    SAY(mkdirat(in, "in", 0700));
    SAY(mkdirat(folder, "there", 0700));
    SAY(fchmod(folder, 0750));
    SAY(fchmod(in, 0710));
    SAY(chdir("../.."));
    say_opened("at");
    say_opened("elsewhere/in/here");
    say_opened("elsewhere/in/in");
    say_opened("elsewhere/there");
}

int main(int count, char **words) {
    const struct timespec times[2] = {{5, 7}, {9, 11}};
    char text[64] = {0};
    if (count < 2 || chdir(words[1]))
        return 1;
    umask(022);
    SAY(mkdir("made", 0777));
    SAY(mkdir("made", 0777));
    SAY(mkdir("made/in/no", 0777));
    SAY(mkdir("made/in/", 0700));
    SAY(mkdir("made/.", 0700));
    SAY(mkdir("there/x", 0700));
    SAY(rename("there", "made/moved"));
    SAY(rename("there", "made/moved"));
    SAY(rename("made/moved", "there"));
    SAY(rename("made", "made/in/x"));
    SAY(rename("made", "there"));
    SAY(rename("there", "made"));
    SAY(rename("there/", "x"));
    SAY(rename("there", "x/"));
    SAY(rename("nothing", "x/"));
    SAY(rename("made", "anew//"));
    SAY(rename("anew", "there/"));
    SAY(rename("anew/", "made/"));
    SAY(rename("made/.", "x"));
    SAY(rename("made", "other"));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "folder", 1));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "there", 2));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "there", 2));
    SAY(link("there", "again"));
    SAY(link("there", "again"));
    SAY(link("folder", "again2"));
    SAY(link("link", "again3"));
    SAY(linkat(AT_FDCWD, "link", AT_FDCWD, "again4", AT_SYMLINK_FOLLOW));
    SAY(symlink("../out/of/here", "leads out"));
    SAY(symlink("x", "there"));
    SAY(readlink("leads out", text, sizeof text - 1));
    puts(text);
    SAY(open("leads out", O_RDONLY));
    SAY(rmdir("there"));
    SAY(unlink("other"));
    SAY(rmdir("other"));
    SAY(rmdir("other/in/"));
    SAY(rmdir("other"));
    SAY(rmdir("."));
    SAY(rmdir("folder/.."));
    SAY(unlink("again/"));
    SAY(unlink("again"));
    SAY(unlink("again"));
    SAY(unlink("leads out"));
    SAY(chmod("there", 0600));
    SAY(chmod("no", 0600));
    say_no_rights();
    SAY(utimensat(AT_FDCWD, "there", times, 0));
    say_moved();
    SAY(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
    SAY(mknod("node", S_IFREG | 0644, 0));
    say_mode("there");
    say_mode("folder");
    say_mode("link");
    say_mode("again3");
    say_mode("again4");
    say_mode("node");
    close(open("quiet", O_CREAT | O_WRONLY, 0444));
    close(open("odd", O_CREAT | O_RDWR, 0704));
    say_mode("quiet");
    say_mode("odd");
    say_owner("quiet");
    say_owner("folder/..");
    SAY(chown("quiet", getuid(), getgid()));
    SAY(lchown("link", (uid_t)-1, (gid_t)-1));
    SAY(chown("no", 0, 0));
    int open_ = open("gone", O_CREAT | O_RDWR, 0600);
    SAY(unlink("gone"));
    SAY(write(open_, "still here", 10));
    SAY(pread(open_, text, 10, 0));
    puts(text);
    say_open(words[1]);
    return 0;
}
