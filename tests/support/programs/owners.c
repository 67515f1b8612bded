/* Says whose the files are that it is told: by their names, then open, and open without a name. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *how, int error, const struct stat *of) {
    if (error)
        printf("%s no\n", how);
    else
        printf("%s %u:%u\n", how, of->st_uid, of->st_gid);
}

int main(int argc, char **argv) {
    struct stat of;
    for (int i = 1; i < argc; i++) {
        const char *name = strrchr(argv[i], '/') + 1;
        if (*name == '+')
            close(open(argv[i], O_WRONLY | O_CREAT | O_EXCL, 0644));
        int fd = open(argv[i], O_RDONLY);
        say(name, lstat(argv[i], &of), &of);
        say("open", fstat(fd, &of), &of);
        if (*name == '-' && !unlink(argv[i]))
            say("gone", fstat(fd, &of), &of);
        close(fd);
    }
    return 0;
}
