/* Everybody has a turn before long, beside a thread that never waits. */
#include "threads.h"

#define ENOUGH 100000 /* of what takes microseconds: several times what it needs */

static bool held, done;

/* A lock as interpreters have one: whoever waits for it is told that it is free, and then looks. */
static void take_over(void) {
    pthread_mutex_lock(&lock);
    while (held) {
        struct timespec later = after(CLOCK_REALTIME, 5);
        pthread_cond_timedwait(&changed, &lock, &later);
    }
    held = true;
    pthread_mutex_unlock(&lock);
}
static void hand_over(void) {
    pthread_mutex_lock(&lock);
    held = false;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}
static void *take_often(void *own) {
    for (int i = 0; i < 20; i++) {
        take_over();
        getppid();
        hand_over();
    }
    __atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
    return own;
}

/* It holds the lock but for a call of the system now and then. */
void handed(void) {
    pthread_t other;
    int rounds = 0;
    take_over();
    start(&other, take_often, 0);
    for (; !__atomic_load_n(&done, __ATOMIC_SEQ_CST) && rounds < ENOUGH; rounds++) {
        for (volatile int i = 0; i < 1000; i++)
            ;
        hand_over();
        getppid();
        take_over();
    }
    hand_over();
    join(other);
    puts(rounds < ENOUGH ? "handed over" : "kept");
}

static void *sleep_often(void *own) {
    for (int i = 0; i < 10; i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    __atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
    return own;
}

/* It is in calls of the system all the time, which nothing interrupts. */
void calls_all_the_time(void) {
    static char zeros[1 << 18];
    pthread_t other;
    int rounds = 0;
    int zero = open("/dev/zero", O_RDONLY);
    CHECK(zero >= 0);
    start(&other, sleep_often, 0);
    for (; !__atomic_load_n(&done, __ATOMIC_SEQ_CST) && rounds < ENOUGH; rounds++)
        CHECK(read(zero, zeros, sizeof zeros) == sizeof zeros);
    join(other);
    puts(rounds < ENOUGH ? "woken" : "asleep");
}

static struct timespec due;
static int order[MANY], arrived;
static void *sleep_until(void *own) {
    struct timespec mine = due;
    mine.tv_nsec += (long)own * 10000;
    CHECK(!clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &mine, NULL));
    order[__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST)] = (int)(long)own;
    return own;
}

/* Their times come a moment apart, beside one that makes no calls: they are late together. */
void by_time(void) {
    pthread_t threads[MANY];
    due = after(CLOCK_MONOTONIC, 200);
    due.tv_nsec = due.tv_nsec / 10 * 9; /* no second begins between the first and the last */
    for (long i = 0; i < MANY; i++)
        start(&threads[i], sleep_until, i);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < MANY)
        ;
    for (int i = 0; i < MANY; i++) {
        join(threads[i]);
        printf("%d%c", order[i], i == MANY - 1 ? '\n' : ' ');
    }
}

static int pairs[3][2];
static void *read_to_its_end(void *own) {
    char byte;
    CHECK(read(pairs[0][0], &byte, 1) == 0 && !close(pairs[0][0]));
    return own;
}

/* A file is closed, and who is woken by that has its turn before the call ends: the file is gone
 * once, and those that come after it are not each other's. */
void closes(void) {
    pthread_t reader;
    char byte = 0;
    for (int i = 0; i < 200; i++) {
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[0]));
        start(&reader, read_to_its_end, 0);
        sched_yield();
        CHECK(!close(pairs[0][1]));
        for (int j = 1; j < 3; j++)
            CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[j]));
        CHECK(write(pairs[1][0], &byte, 1) == 1 && read(pairs[2][1], &byte, 1) == -1);
        CHECK(write(pairs[2][0], &byte, 1) == 1 && read(pairs[1][1], &byte, 1) == 1);
        join(reader);
        for (int j = 0; j < 4; j++)
            CHECK(!close(pairs[1 + j / 2][j % 2]));
    }
    puts("closed");
}
