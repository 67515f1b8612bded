/* Starts COUNT of a program at once, each of which writes as many bytes to one pipe; prints the
 * milliseconds until all have ended, or fails where a byte is missing or one ended otherwise. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 1000, BYTES = 2 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
    char *const environment[] = {NULL};
    char answers[COUNT * BYTES + 1];
    int ends[2], status;
    if (argc < 2 || pipe2(ends, O_CLOEXEC) || fcntl(ends[1], F_SETPIPE_SZ, sizeof answers) < 0)
        return 2;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    double start = now();
    for (int i = 0; i < COUNT; i++) {
        pid_t child;
        if (posix_spawn(&child, argv[1], &actions, NULL, argv + 1, environment))
            return 2;
    }
    for (int i = 0; i < COUNT; i++)
        if (wait(&status) < 0 || status)
            return 3;
    double took = now() - start;
    close(ends[1]);
    if (read(ends[0], answers, sizeof answers) != COUNT * BYTES)
        return 4;
    for (int i = 0; i < COUNT * BYTES; i++)
        if (answers[i] != "1\n"[i % BYTES])
            return 4;
    printf("%f\n", took);
    return 0;
}
