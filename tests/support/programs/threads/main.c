/* Threads, one case a run: what is printed is the same on every run that is right. */
#include "threads.h"

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
int turn, total;

void start(pthread_t *to, void *(*work)(void *), long with) {
    CHECK(pthread_create(to, NULL, work, (void *)with) == 0);
}

long join(pthread_t thread) {
    void *result;
    CHECK(pthread_join(thread, &result) == 0);
    return (long)result;
}

void run_all(void *(*work)(void *)) {
    pthread_t threads[MANY];
    long sum = 0;
    for (long i = 0; i < MANY; i++)
        start(&threads[i], work, i);
    for (int i = 0; i < MANY; i++)
        sum += join(threads[i]);
    printf("sum %ld total %d\n", sum, total);
}

struct timespec after(clockid_t clock, long ms) {
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += ms * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000, time.tv_nsec %= 1000000000;
    return time;
}

void settle(void) {
    for (int i = 0; i < 50; i++)
        sched_yield();
    nanosleep(&(struct timespec){0, 30000000}, NULL);
}

static const struct {
    const char *name;
    void (*run)(void);
    void *(*work)(void *);
} cases[] = {{"mutex", NULL, add},
             {"turns", NULL, take_turns},
             {"barrier", barriers, NULL},
             {"rwlock", NULL, read_or_write},
             {"semaphore", semaphores, NULL},
             {"handed", handed, NULL},
             {"calls", calls_all_the_time, NULL},
             {"by-time", by_time, NULL},
             {"closes", closes, NULL},
             {"local", local_data, NULL},
             {"signals", signals_to, NULL},
             {"process-signals", signals_of_all, NULL},
             {"cancel", cancels, NULL},
             {"robust", robust, NULL},
             {"inherit", inheriting, NULL},
             {"inherit-signal", inheriting_signal, NULL},
             {"requeue-inherit", requeue_inherit, NULL},
             {"timed", timed, NULL},
             {"late", late, NULL},
             {"endings", endings, NULL},
             {"last", last_of_all, NULL},
             {"hundreds", hundreds, NULL},
             {"ten-thousand", ten_thousand, NULL},
             {"arithmetic", arithmetic, NULL},
             {"spinning", spinning, NULL},
             {"registers", NULL, registers_or_calls},
             {"futex", futexes, NULL},
             {"clocks", clocks, NULL},
             {"flags", clone_flags, NULL}};

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++)
        if (!strcmp(argv[1], cases[i].name)) {
            if (cases[i].run)
                cases[i].run();
            else
                run_all(cases[i].work);
            return 0;
        }
    return 99;
}
