/* Nanoseconds for a pread of SIZE bytes of FILE, at random or in order: what the test
 * unikernels do, without a guest. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char buffer[1 << 20];
    int random = argc > 3 && !strcmp(argv[1], "random"), fd = open(argv[2], O_RDONLY);
    uint64_t size = strtoull(argv[3], NULL, 10), state = 1;
    uint64_t reads = size > 65536 ? 1000 : 20000;
    uint64_t sectors = (uint64_t)lseek(fd, 0, SEEK_END) / size;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (uint64_t i = 0; i < reads; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        uint64_t at = (random ? (state >> 33) % sectors : i % sectors) * size;
        if (pread(fd, buffer, size, (off_t)at) != (ssize_t)size)
            return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%f\n", ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
                       (double)reads);
    return 0;
}
