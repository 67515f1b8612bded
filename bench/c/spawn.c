/* Starts each command of its arguments in turn, ROUNDS times; prints the median
 * microseconds from posix_spawn to its end, one line each.  "--" ends a command. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 300, COMMANDS = 16 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static double once(char **arguments) {
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    double start = now();
    if (posix_spawn(&child, arguments[0], &actions, NULL, arguments, environment))
        exit(2);
    waitpid(child, &status, 0);
    double took = now() - start;
    posix_spawn_file_actions_destroy(&actions);
    if (status)
        exit(3);
    return took;
}

int main(int argc, char **argv) {
    static double times[COMMANDS][ROUNDS];
    char **commands[COMMANDS];
    int count = 0;
    for (int i = 1; i < argc && count < COMMANDS; i++) {
        commands[count++] = argv + i;
        while (i < argc && strcmp(argv[i], "--"))
            i++;
        argv[i] = NULL;
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < count; i++)
            times[i][round] = once(commands[i]);
    for (int i = 0; i < count; i++) {
        qsort(times[i], ROUNDS, sizeof times[i][0], compare);
        printf("%f\n", times[i][ROUNDS / 2]);
    }
    return 0;
}
