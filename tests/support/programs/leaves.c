/* Opens and closes files of a folder as each word says, then spins or waits: who looks from outside
 * sees what it has left open. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

static int reads(const char *path, int keeps) {
    char bytes[8];
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, bytes, sizeof bytes) < 0)
        return -1;
    return keeps ? 0 : close(fd);
}

static int locks(const char *path) {
    int fd = open(path, O_RDONLY);
    return flock(fd, LOCK_EX | LOCK_NB) ? -1 : close(fd);
}

static int locks_bytes(const char *path) {
    struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDONLY);
    return fcntl(fd, F_SETLK, &all) ? -1 : close(fd);
}

static int writes(const char *path) {
    int fd = open(path, O_WRONLY);
    return write(fd, "bytes", 5) == 5 ? close(fd) : -1;
}

static int connects(const char *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at);
}

static int once(const char *folder, const char *word) {
    struct stat stat_;
    struct statfs room;
    static int kept;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, word + 1);
    switch (*word) {
    case 'r':
        return reads(path, 0);
    case 'k':
        return reads(path, 1);
    case 'l':
        return locks(path);
    case 'b':
        return locks_bytes(path);
    case 'w':
        return writes(path);
    case 'o':
        return (kept = open(path, O_WRONLY)) < 0;
    case 'p':
        return write(kept, "bytes", 5) != 5;
    case 'c':
        return ftruncate(kept, 1);
    case 'u':
        return unlink(path);
    case 's':
        return stat(path, &stat_);
    case 't':
        return connects(word + 1);
    case 'f':
        return fstatfs(kept, &room);
    default:
        return -1;
    }
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 1;
    for (int i = 3; i < argc; i++)
        if (once(argv[1], argv[i])) {
            printf("%s: %s\n", argv[i], strerror(errno));
            return 1;
        }
    printf("done\n");
    fflush(stdout);
    if (!strcmp(argv[2], "waits"))
        return getchar() != EOF;
    for (volatile int on = !strcmp(argv[2], "spins"); on;)
        ;
    return 0;
}
