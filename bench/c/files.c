/*
 * Opens, reads and closes each of a folder's files, and says for each hundred of them how many
 * nanoseconds it took: whoever else wants the processor meanwhile is in few of those.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 100, MOST = 1000 };

static int open_each(const char *folder, int first) {
    char path[300], bytes[4096];
    for (int i = first; i < first + PIECE; i++) {
        snprintf(path, sizeof path, "%s/%d", folder, i);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, bytes, sizeof bytes) <= 0 || close(fd))
            return 0;
    }
    return 1;
}

int main(int argc, char **argv) {
    static long took[MOST];
    struct timespec from, to;
    int pieces = argc > 2 ? atoi(argv[2]) / PIECE : 0;
    for (int i = 0; i < pieces && i < MOST; i++) {
        clock_gettime(CLOCK_MONOTONIC, &from);
        if (!open_each(argv[1], i * PIECE))
            return 1;
        clock_gettime(CLOCK_MONOTONIC, &to);
        took[i] = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
    }
    for (int i = 0; i < pieces && i < MOST; i++)
        printf("%ld\n", took[i]);
    return 0;
}
