/* What threads wait for each other with, and what each has for itself. */
#include "threads.h"

void *add(void *own) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock);
        int seen = total;
        if (i % 16 == 0)
            sched_yield(); /* with the lock held: others meet it */
        total = seen + 1;
        pthread_mutex_unlock(&lock);
    }
    return own;
}

void *take_turns(void *own) {
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&lock);
        while (turn != (int)(long)own)
            pthread_cond_wait(&changed, &lock);
        turn = (turn + 1) % MANY, total++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return own;
}

static pthread_barrier_t barrier;
static int rounds[4];
static void *meet(void *own) {
    long serial = 0;
    for (int i = 0; i < 4; i++) {
        __atomic_add_fetch(&rounds[i], 1, __ATOMIC_SEQ_CST);
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        CHECK(rounds[i] == MANY);
    }
    (void)own;
    return (void *)serial;
}
void barriers(void) {
    pthread_barrier_init(&barrier, NULL, MANY);
    run_all(meet);
}

static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static int readers;
void *read_or_write(void *own) {
    for (int i = 0; i < 500; i++)
        if ((i + (long)own) % 5) {
            pthread_rwlock_rdlock(&shared);
            __atomic_add_fetch(&readers, 1, __ATOMIC_SEQ_CST);
            if (i % 8 == 0)
                sched_yield();
            __atomic_sub_fetch(&readers, 1, __ATOMIC_SEQ_CST);
            pthread_rwlock_unlock(&shared);
        } else {
            pthread_rwlock_wrlock(&shared);
            CHECK(!readers);
            sched_yield();
            total++;
            pthread_rwlock_unlock(&shared);
        }
    return own;
}

static sem_t full, empty;
static int slots[4];
static void *produce(void *own) {
    for (int i = 0; i < 400; i++) {
        sem_wait(&empty);
        pthread_mutex_lock(&lock);
        slots[total++ % 4] = 1;
        pthread_mutex_unlock(&lock);
        sem_post(&full);
    }
    return own;
}
static void *consume(void *own) {
    long got = 0;
    for (int i = 0; i < 400; i++) {
        sem_wait(&full);
        pthread_mutex_lock(&lock);
        got += slots[turn % 4], slots[turn++ % 4] = 0;
        pthread_mutex_unlock(&lock);
        sem_post(&empty);
    }
    (void)own;
    return (void *)got;
}
static void *either(void *own) {
    return (long)own % 2 ? produce(0) : consume(0);
}
void semaphores(void) {
    sem_init(&full, 0, 0), sem_init(&empty, 0, 4);
    run_all(either);
}

static __thread long mine = 7;
static __thread char large[3000];
static pthread_key_t key;
static int destroyed;
static void destroy(void *value) {
    destroyed += (int)(long)value;
}
static void *own_data(void *own) {
    CHECK(mine == 7 && !large[2999]);
    mine += (long)own, large[2999] = 1, errno = (int)(long)own + 1;
    pthread_setspecific(key, (void *)((long)own + 1));
    for (int i = 0; i < 20; i++) {
        sched_yield();
        CHECK(mine == 7 + (long)own && errno == (int)(long)own + 1);
    }
    return (void *)mine;
}
void local_data(void) {
    pthread_key_create(&key, destroy);
    run_all(own_data);
    printf("main %ld %d destroyed %d\n", mine, large[2999], destroyed);
}
