/* Opens, reads and closes each of a folder's files, and says how many nanoseconds that took. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec from, to;
    char path[300], bytes[4096];
    int count = argc > 2 ? atoi(argv[2]) : 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%d", argv[1], i);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, bytes, sizeof bytes) <= 0 || close(fd))
            return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%ld\n", (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec);
    return 0;
}
