/* What a program finds at fixed paths, as lines that are the same natively and in a guest. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static char buffer[1 << 16];

#define SAY(...) (printf(__VA_ARGS__), putchar('\n'))

static long opened(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    SAY("open %s %#x: %s", path, flags, fd < 0 ? strerror(errno) : "yes");
    return fd;
}

static const char *target(const char *path) {
    ssize_t size = readlink(path, buffer, sizeof buffer - 1);
    buffer[size < 0 ? 0 : size] = 0;
    return buffer;
}

static const char *content(const char *path) {
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);
    buffer[size < 0 ? 0 : size] = 0;
    close(fd);
    return buffer;
}

static void links(void) {
    char path[64], again[64];
    struct stat a, b;
    int fd = open("file", O_RDWR | O_CREAT, 0644), pipes[2];
    write(fd, "hello", 5);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    SAY("name %s", strrchr(target(path), '/'));
    int other = open(path, O_RDONLY);
    SAY("from its start %zd", read(other, buffer, 9));
    SAY("same %d, link %o", !fstat(fd, &a) && !stat(path, &b) && a.st_ino == b.st_ino,
        lstat(path, &b) ? 0 : b.st_mode & S_IFMT);
    unlink("file");
    other = open(path, O_RDONLY);
    SAY("without a name %zd", read(other, buffer, 9));
    pipe(pipes);
    snprintf(path, sizeof path, "/dev/fd/%d", pipes[0]);
    SAY("a pipe: %.6s", target(path));
    SAY("stat %d %o", stat(path, &a), a.st_mode & S_IFMT);
    write(pipes[1], "xyz", 3);
    other = open(path, O_RDONLY);
    SAY("through it %zd", read(other, buffer, 9));
    snprintf(again, sizeof again, "%s/x", path);
    opened("/proc/self/fd/99", O_RDONLY);
    opened("/proc/self/fd/x", O_RDONLY);
    SAY("below a pipe: %d %d", open(again, O_RDONLY), errno);
    mkdir("folder", 0700);
    fd = open("folder", O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "/proc/self/fd/%d/new", fd);
    SAY("through a folder %d", open(path, O_CREAT | O_WRONLY, 0600) >= 0);
    chdir("folder");
    SAY("cwd %s, %d", strrchr(target("/proc/self/cwd"), '/'), access("/proc/self/cwd/new", F_OK));
    SAY("root %s", target("/proc/self/root"));
    SAY("dev %s %s", target("/dev/fd"), target("/dev/stdin"));
}

static void reading(void) {
    int fd = open("/proc/self/status", O_RDONLY);
    SAY("read %zd %.5s", read(fd, buffer, 5), buffer);
    SAY("seek %ld %ld %d", lseek(fd, 0, SEEK_CUR), lseek(fd, 0, SEEK_END), errno);
    SAY("seek %ld %ld %d", lseek(fd, 2, SEEK_CUR), lseek(fd, -8, SEEK_CUR), errno);
    SAY("pread %zd %.5s, beyond %zd", pread(fd, buffer, 5, 0), buffer,
        pread(fd, buffer + 10, 5, 1 << 20));
    SAY("still at %ld", lseek(fd, 0, SEEK_CUR));
    SAY("truncate %d %d", ftruncate(fd, 0), errno);
    SAY("write %zd %d", write(fd, "x", 1), errno);
    prctl(PR_SET_NAME, "renamed");
    lseek(fd, 0, SEEK_SET);
    read(fd, buffer, 14);
    SAY("anew: %.14s", buffer);
    size_t total = 0, all = strlen(content("/proc/self/status"));
    fd = open("/proc/self/status", O_RDONLY);
    while (read(fd, buffer, 7) > 0)
        total += 7;
    SAY("piecewise %d", total >= all && total < all + 7);
}

static void names(void) {
    SAY("comm %s", content("/proc/self/comm"));
    int fd = open("/proc/self/comm", O_WRONLY);
    SAY("set %zd", write(fd, "a longer name than fits", 23));
    SAY("comm %s", content("/proc/thread-self/comm"));
    prctl(PR_GET_NAME, buffer);
    SAY("name %s", buffer);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", getpid(), getpid());
    SAY("comm %s", content(path));
    snprintf(path, sizeof path, "%d", getpid());
    SAY("self %d", !strcmp(target("/proc/self"), path));
}

/* Arguments, environment and auxiliary vector are those that the program was given. */
static void words(char **argv) {
    size_t at = 0;
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t size = read(fd, buffer, sizeof buffer);
    for (; *argv && at < (size_t)size && !strcmp(buffer + at, *argv); argv++)
        at += strlen(*argv) + 1;
    SAY("cmdline %d", at == (size_t)size && !*argv);
    fd = open("/proc/self/environ", O_RDONLY);
    size = read(fd, buffer, sizeof buffer);
    SAY("environ %s", size > 0 ? buffer : "");
    fd = open("/proc/self/auxv", O_RDONLY);
    size = read(fd, buffer, sizeof buffer);
    unsigned long *pair = (unsigned long *)buffer, entry = 0;
    for (; (char *)pair < buffer + size && *pair; pair += 2)
        entry = *pair == AT_ENTRY ? pair[1] : entry;
    SAY("auxv %d", entry == getauxval(AT_ENTRY) && (char *)(pair + 2) == buffer + size);
}

static int mapped(const char *maps, const void *at, const char *rights, const char *name) {
    unsigned long low, high;
    char found[8];
    for (const char *line = maps; line && *line; line = strchr(line, '\n') + 1) {
        size_t length = strchr(line, '\n') - line;
        if (sscanf(line, "%lx-%lx %7s", &low, &high, found) == 3 && low <= (unsigned long)at &&
            (unsigned long)at < high)
            return !strncmp(found, rights, 4) &&
                   (!*name || memmem(line, length, name, strlen(name)));
    }
    return 0;
}

static void memory(void) {
    int local;
    void *heap = malloc(100), *large = malloc(10 << 20);
    static int data = 1;
    const char *maps = strdup(content("/proc/self/maps"));
    SAY("maps: code %d data %d stack %d heap %d large %d",
        mapped(maps, (void *)memory, "r-xp", "/"), mapped(maps, &data, "rw-p", "/"),
        mapped(maps, &local, "rw-p", "[stack]"), mapped(maps, heap, "rw-p", "[heap]"),
        mapped(maps, large, "rw-p", ""));
    long size = 0, resident = 0;
    sscanf(content("/proc/self/statm"), "%ld %ld", &size, &resident);
    SAY("statm %d", size > 0 && resident > 0 && resident <= size);
    char comm[32] = "", state = 0;
    int pid = 0, fields = 0;
    sscanf(content("/proc/self/stat"), "%d (%31[^)]) %c", &pid, comm, &state);
    for (const char *at = strrchr(buffer, ')'); at && *at; at++)
        fields += *at == ' ';
    SAY("stat %d %s %c %d", pid == getpid(), comm, state, fields);
    free(heap), free(large);
}

static void listing(const char *path) {
    DIR *folder = opendir(path);
    int count = 0;
    for (struct dirent *each; folder && (each = readdir(folder));)
        count += each->d_name[0] != '.';
    SAY("%s has %d", path, count);
    closedir(folder);
}

static void machine(void) {
    struct passwd *root = getpwuid(0);
    SAY("root is %s", root ? root->pw_name : "nobody");
    SAY("processors %d %ld", strstr(content("/proc/cpuinfo"), "processor\t: 0") != NULL,
        sysconf(_SC_NPROCESSORS_ONLN) >= 1 ? 1L : 0L);
    SAY("memory %d", atol(strstr(content("/proc/meminfo"), "MemTotal:") + 9) > 0);
    SAY("uuid %zu %zu", strlen(content("/proc/sys/kernel/random/uuid")),
        strlen(content("/proc/sys/kernel/random/boot_id")));
    char *first = strdup(content("/proc/sys/kernel/random/uuid"));
    SAY("another %d", strcmp(first, content("/proc/sys/kernel/random/uuid")) != 0);
    first = strdup(content("/proc/sys/kernel/random/boot_id"));
    SAY("the same %d", strcmp(first, content("/proc/sys/kernel/random/boot_id")));
    SAY("dents %d %d", strstr(content("/proc/stat"), "btime ") != NULL,
        strstr(content("/proc/self/mounts"), " / ") != NULL);
    SAY("version %.14s", content("/proc/version"));
    listing("/proc/self/task");
    SAY("null %ld", opened("/dev/null", O_RDWR) >= 0 ? (long)write(3, "", 0) : -1);
    close(0);
    opened("/proc/self/fd/0", O_RDONLY);
    opened("/proc/self", O_RDONLY | O_DIRECTORY);
    opened("/proc/self/fd", O_WRONLY);
    opened("/proc/self/cmdline", O_RDONLY | O_DIRECTORY);
    opened("/proc/self/cwd", O_RDONLY | O_NOFOLLOW);
    opened("/proc/self/nothing", O_RDONLY);
}

int main(int argc, char **argv) {
    (void)argc;
    links();
    reading();
    names();
    words(argv);
    memory();
    machine();
    return 0;
}
