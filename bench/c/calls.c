/* Nanoseconds of a few system calls; the argument is a file to read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 200000 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv) {
    static char page[4096];
    int fd = open(argv[argc - 1], O_RDONLY);
    double start = now();
    for (int i = 0; i < ROUNDS; i++)
        syscall(SYS_getppid);
    double ids = now();
    for (int i = 0; i < ROUNDS; i++)
        lseek(fd, 0, SEEK_SET);
    double seeks = now();
    for (int i = 0; i < ROUNDS; i++)
        pread(fd, page, sizeof page, 0);
    double reads = now();
    printf("%f %f %f\n", (ids - start) / ROUNDS, (seeks - ids) / ROUNDS, (reads - seeks) / ROUNDS);
    return 0;
}
