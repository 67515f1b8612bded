/* Starts each program of its arguments in turn, ROUNDS times; prints the median
 * microseconds from posix_spawn to its end, one line each. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 300 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static double once(char *path) {
    char *const arguments[] = {path, NULL}, *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    double start = now();
    if (posix_spawn(&child, path, &actions, NULL, arguments, environment))
        exit(2);
    waitpid(child, &status, 0);
    if (status)
        exit(3);
    return now() - start;
}

int main(int argc, char **argv) {
    double *times = calloc((size_t)argc * ROUNDS, sizeof *times);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 1; i < argc; i++)
            times[i * ROUNDS + round] = once(argv[i]);
    for (int i = 1; i < argc; i++) {
        qsort(times + i * ROUNDS, ROUNDS, sizeof *times, compare);
        printf("%f\n", times[i * ROUNDS + ROUNDS / 2]);
    }
    return 0;
}
