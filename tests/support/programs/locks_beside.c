/*
 * Takes the locks that its standard input names, one a line: what (p fcntl, o by open file, f
 * flock, large letters wait; g who is in the way; c close), which descriptor of the same file (a,
 * b, r to read only), the kind (r, w, u), and for bytes the first and how many.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static long lock(char what, int fd, char kind, long start, long length) {
    struct flock range = {.l_type = kind == 'r'   ? F_RDLCK
                                    : kind == 'w' ? F_WRLCK
                                                  : F_UNLCK,
                          .l_start = start,
                          .l_len = length};
    int waits = isupper(what) != 0;
    switch (tolower(what)) {
    case 'p':
        return fcntl(fd, waits ? F_SETLKW : F_SETLK, &range);
    case 'o':
        return fcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &range);
    case 'f':
        return flock(fd, (kind == 'r'   ? LOCK_SH
                          : kind == 'w' ? LOCK_EX
                                        : LOCK_UN) |
                             (waits ? 0 : LOCK_NB));
    case 'c':
        return close(fd);
    default:
        if (fcntl(fd, F_GETLK, &range) == 0)
            printf("%s %ld+%ld ",
                   range.l_type == F_UNLCK   ? "free"
                   : range.l_type == F_RDLCK ? "read"
                                             : "write",
                   (long)range.l_start, (long)range.l_len);
        return 0;
    }
}

int main(int count, char **words) {
    char line[100], what, which, kind;
    long start, length;
    if (count < 2)
        return 1;
    int a = open(words[1], O_RDWR), b = open(words[1], O_RDWR), r = open(words[1], O_RDONLY);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%c %c %c %ld %ld", &what, &which, &kind, &start, &length) != 5)
            return 2;
        int fd = which == 'a' ? a : which == 'b' ? b : r;
        printf("%s\n", lock(what, fd, kind, start, length) ? strerror(errno) : "good");
        fflush(stdout);
    }
    return 0;
}
