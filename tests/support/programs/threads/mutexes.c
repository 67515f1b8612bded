/* Mutexes whose owner dies, or lends its priority. */
#include "threads.h"

static sem_t full;

static pthread_mutex_t special;
static void *die_with_it(void *own) {
    CHECK(!pthread_mutex_lock(&special));
    return own;
}
static void *wait_for_it(void *own) {
    int got = pthread_mutex_lock(&special);
    printf("%s\n", got ? strerror(got) : "locked");
    if (got == EOWNERDEAD)
        CHECK(!pthread_mutex_consistent(&special));
    CHECK(!pthread_mutex_unlock(&special));
    return own;
}
static void *hold_and_die(void *own) {
    CHECK(!pthread_mutex_lock(&special));
    sem_post(&full);
    settle(), settle();
    return own;
}
static void special_kind(int robust, int protocol, int type) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    CHECK(!pthread_mutexattr_setrobust(&kind, robust));
    CHECK(!pthread_mutexattr_setprotocol(&kind, protocol));
    pthread_mutexattr_settype(&kind, type);
    CHECK(!pthread_mutex_init(&special, &kind));
}
static void robust_of(int protocol) {
    pthread_t first, second;
    special_kind(PTHREAD_MUTEX_ROBUST, protocol, PTHREAD_MUTEX_NORMAL);
    start(&first, die_with_it, 0);
    join(first);
    wait_for_it(0); /* nobody waited when it died */
    wait_for_it(0);
    sem_init(&full, 0, 0);
    start(&first, hold_and_die, 0);
    sem_wait(&full);
    start(&second, wait_for_it, 0); /* somebody does */
    join(first), join(second);
    CHECK(!pthread_mutex_lock(&special) && !pthread_mutex_unlock(&special));
    pthread_mutex_destroy(&special);
}
void robust(void) {
    robust_of(PTHREAD_PRIO_NONE);
}
static void *add_special(void *own) {
    for (int i = 0; i < 300; i++) {
        CHECK(!pthread_mutex_lock(&special));
        int seen = total;
        if (i % 4 == 0)
            sched_yield();
        total = seen + 1;
        CHECK(!pthread_mutex_unlock(&special));
    }
    return own;
}
static void *hold_it(void *own) {
    pthread_mutex_lock(&special);
    sem_post(&full);
    settle(), settle();
    pthread_mutex_unlock(&special);
    return own;
}
void inheriting(void) {
    pthread_t thread;
    special_kind(PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ERRORCHECK);
    run_all(add_special);
    CHECK(!pthread_mutex_lock(&special));
    printf("%s\n", strerror(pthread_mutex_lock(&special)));
    CHECK(!pthread_mutex_unlock(&special));
    printf("%s\n", strerror(pthread_mutex_unlock(&special)));
    sem_init(&full, 0, 0);
    start(&thread, hold_it, 0);
    sem_wait(&full);
    printf("%s\n", strerror(pthread_mutex_trylock(&special)));
    struct timespec soon = after(CLOCK_REALTIME, 10);
    printf("%s\n", strerror(pthread_mutex_timedlock(&special, &soon)));
    join(thread);
    robust_of(PTHREAD_PRIO_INHERIT);
}

static int owned;
static volatile int handled;
static void handle(int number) {
    handled = number;
}
static void *lock_owned(void *own) {
    long got = syscall(SYS_futex, &owned, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    owned = 0;
    (void)own;
    return (void *)got;
}
/* A handler runs, and the lock is waited for again, whatever its flags are. */
void inheriting_signal(void) {
    struct sigaction action = {.sa_handler = handle};
    pthread_t thread;
    sigaction(SIGUSR1, &action, NULL);
    CHECK(!syscall(SYS_futex, &owned, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    start(&thread, lock_owned, 0);
    settle();
    CHECK(!pthread_kill(thread, SIGUSR1));
    settle();
    printf("unlocked %ld\n", (long)syscall(SYS_futex, &owned, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    long got = join(thread);
    printf("locked %ld handled %d\n", got, handled);
}
