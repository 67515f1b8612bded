/* Waiters that are moved to a lock which names its owner, and a condition of such a mutex. */
#include "threads.h"

static int condition, owned, released, told_threads;

static long futex(int *at, int operation, long value, long count, int *to, long third) {
    long got = syscall(SYS_futex, at, operation, value, count, to, third);
    return got < 0 ? -errno : got;
}

static struct {
    long got, unlocked;
    int owner, waiters;
} seen[MANY];

/* In the order in which they get the lock: only who has it writes. */
static void *wait_to_own(void *own) {
    long got = futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, 0, &owned, 0);
    int at = total++;
    seen[at].got = got;
    seen[at].owner = (owned & FUTEX_TID_MASK) == (int)syscall(SYS_gettid);
    seen[at].waiters = !!(owned & FUTEX_WAITERS);
    seen[at].unlocked = futex(&owned, FUTEX_UNLOCK_PI, 0, 0, NULL, 0);
    return own;
}

static void start_some(pthread_t *threads, int count) {
    total = 0;
    for (long i = 0; i < count; i++)
        start(&threads[i], wait_to_own, i);
    settle();
}

static void join_some(pthread_t *threads, int count) {
    for (int i = 0; i < count; i++)
        join(threads[i]);
    for (int i = 0; i < count; i++)
        printf("got %ld, owner %d, waiters %d, unlocked %ld\n", seen[i].got, seen[i].owner,
               seen[i].waiters, seen[i].unlocked);
    printf("lock %x\n", (unsigned)owned);
}

static void arguments(void) {
    static const struct timespec past = {0, 1};
    int *odd = (int *)((char *)&owned + 1);
    printf("itself %ld\n", futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, 0, &condition, 0));
    printf("odd %ld\n", futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, 0, odd, 0));
    printf("other %ld\n", futex(&condition, FUTEX_WAIT_REQUEUE_PI, 1, 0, &owned, 0));
    printf("late %ld\n", futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, (long)&past, &owned, 0));
    printf("late %ld\n", futex(&condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0,
                               (long)&past, &owned, 0));
    printf("bad %ld\n", futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, 0, (int *)8, 0));
    printf("none %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 5, &owned, 0));
    printf("two %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, 5, &owned, 0));
    printf("negative %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, -5, &owned, 0));
    printf("compare %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 5, &owned, 9));
    printf("itself %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 5, &condition, 0));
}

static pthread_mutex_t mutex;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;

static void *wait_for_condition(void *own) {
    CHECK(!pthread_mutex_lock(&mutex));
    while (!released)
        CHECK(!pthread_cond_wait(&told, &mutex));
    told_threads++;
    CHECK(!pthread_mutex_unlock(&mutex));
    return own;
}

static void conditions(void) {
    pthread_t threads[MANY];
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&mutex, &kind);
    for (long i = 0; i < MANY; i++)
        start(&threads[i], wait_for_condition, i);
    settle();
    pthread_mutex_lock(&mutex);
    released = 1;
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < MANY; i++)
        join(threads[i]);
    printf("told %d\n", told_threads);
}

void requeue_inherit(void) {
    pthread_t threads[4];
    arguments();
    start_some(threads, 3);
    printf("wrong lock %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 5, &turn, 0));
    printf("plain wake %ld\n", futex(&condition, FUTEX_WAKE, 1, 0, NULL, 0));
    printf("plain requeue %ld\n", futex(&condition, FUTEX_CMP_REQUEUE, 1, 1, &turn, 0));
    printf("free lock %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, INT_MAX, &owned, 0));
    join_some(threads, 3);
    CHECK(!futex(&owned, FUTEX_LOCK_PI, 0, 0, NULL, 0));
    start_some(threads, 4);
    printf("held lock %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 1, &owned, 0));
    printf("rest %ld\n", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, INT_MAX, &owned, 0));
    printf("unlock %ld\n", futex(&owned, FUTEX_UNLOCK_PI, 0, 0, NULL, 0));
    join_some(threads, 4);
    conditions();
}
