/* Time that passes, threads that end, and many of them. */
#include "threads.h"

static pthread_barrier_t barrier;
static sem_t full;

static long passed_since(const struct timespec *start, clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}
static void *sleeper(void *own) {
    struct timespec time = {0, (MANY - (long)own) * 80000000};
    nanosleep(&time, NULL);
    pthread_mutex_lock(&lock);
    printf("awake %ld\n", (long)own);
    pthread_mutex_unlock(&lock);
    return own;
}
void timed(void) {
    struct timespec began = after(CLOCK_MONOTONIC, 0), soon = after(CLOCK_REALTIME, 40);
    pthread_mutex_lock(&lock);
    printf("cond %s\n", strerror(pthread_cond_timedwait(&changed, &lock, &soon)));
    pthread_mutex_unlock(&lock);
    CHECK(passed_since(&began, CLOCK_MONOTONIC) >= 39);
    pthread_condattr_t kind;
    pthread_condattr_init(&kind);
    pthread_condattr_setclock(&kind, CLOCK_MONOTONIC);
    pthread_cond_t monotonic;
    pthread_cond_init(&monotonic, &kind);
    soon = after(CLOCK_MONOTONIC, 40);
    pthread_mutex_lock(&lock);
    printf("cond %s\n", strerror(pthread_cond_timedwait(&monotonic, &lock, &soon)));
    pthread_mutex_unlock(&lock);
    sem_init(&full, 0, 0);
    soon = after(CLOCK_REALTIME, 20);
    int got = sem_timedwait(&full, &soon);
    printf("sem %d %s\n", got, strerror(errno));
    run_all(sleeper);
    CHECK(passed_since(&began, CLOCK_MONOTONIC) < 5000);
}

/* Whose time is over posts: the next whose time is over, too, may not have run yet. */
static int posted;
static void *post_when_late(void *own) {
    long got = 0;
    for (int i = 0; i < 100; i++) {
        struct timespec soon = after(CLOCK_REALTIME, 1);
        if (!sem_timedwait(&full, &soon)) {
            got++;
        } else {
            __atomic_add_fetch(&posted, 1, __ATOMIC_SEQ_CST);
            sem_post(&full);
        }
    }
    __atomic_add_fetch(&total, got, __ATOMIC_SEQ_CST);
    return own;
}
void late(void) {
    pthread_t threads[40];
    int left;
    sem_init(&full, 0, 0);
    for (long i = 0; i < 40; i++)
        start(&threads[i], post_when_late, i);
    for (long i = 0; i < 40; i++)
        CHECK(join(threads[i]) == i);
    sem_getvalue(&full, &left);
    printf("%s\n", total + left == posted ? "none is lost" : "some are lost");
}

static void *detached(void *own) {
    pthread_detach(pthread_self());
    sem_post(&full);
    return own;
}
static void *last_words(void *own) {
    settle();
    printf("the first thread has ended\n");
    (void)own;
    exit(5);
}
void endings(void) {
    pthread_t thread;
    sem_init(&full, 0, 0);
    for (int i = 0; i < 50; i++) {
        start(&thread, detached, 0);
        sem_wait(&full);
    }
    puts("detached");
    start(&thread, last_words, 0);
    pthread_exit(NULL);
}
static void *nothing(void *own) {
    return own;
}
static void *last_one(void *own) {
    settle();
    return own;
}
void last_of_all(void) {
    pthread_t thread;
    start(&thread, nothing, 3);
    printf("%ld\n", join(thread));
    start(&thread, last_one, 9);
    fflush(stdout);
    syscall(SYS_exit, 6); /* the status, once the other has ended too */
}

static void *block(void *own) {
    pthread_barrier_wait(&barrier);
    return own;
}
static void thousands(int count) {
    pthread_attr_t small;
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    long sum = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    pthread_attr_setguardsize(&small, 0);
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    for (long i = 0; i < count; i++)
        CHECK(!pthread_create(&threads[i], &small, block, (void *)i));
    pthread_barrier_wait(&barrier); /* all of them are there at once */
    for (int i = 0; i < count; i++)
        sum += join(threads[i]);
    printf("%d threads, %ld\n", count, sum);
}
void hundreds(void) {
    thousands(300);
    thousands(300);
}
void ten_thousand(void) {
    thousands(10000);
}
