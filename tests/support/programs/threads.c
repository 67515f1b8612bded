/* Threads, one case a run: what is printed is the same on every run that is right. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            printf("line %d: %s (%d)\n", __LINE__, #what, errno);                                  \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define MANY 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn, total;

static void start(pthread_t *to, void *(*work)(void *), long with) {
    CHECK(pthread_create(to, NULL, work, (void *)with) == 0);
}

static long join(pthread_t thread) {
    void *result;
    CHECK(pthread_join(thread, &result) == 0);
    return (long)result;
}

static void run_all(void *(*work)(void *)) {
    pthread_t threads[MANY];
    long sum = 0;
    for (long i = 0; i < MANY; i++)
        start(&threads[i], work, i);
    for (int i = 0; i < MANY; i++)
        sum += join(threads[i]);
    printf("sum %ld total %d\n", sum, total);
}

static struct timespec after(clockid_t clock, long ms) {
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += ms * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000, time.tv_nsec %= 1000000000;
    return time;
}

static void *add(void *own) {
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

static void *take_turns(void *own) {
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
static void barriers(void) {
    pthread_barrier_init(&barrier, NULL, MANY);
    run_all(meet);
}

static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static int readers;
static void *read_or_write(void *own) {
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
static void semaphores(void) {
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
static void local_data(void) {
    pthread_key_create(&key, destroy);
    run_all(own_data);
    printf("main %ld %d destroyed %d\n", mine, large[2999], destroyed);
}

static volatile sig_atomic_t taken[4];
static volatile pid_t taker;
static void note(int number) {
    taken[number == SIGUSR1 ? 0 : number == SIGUSR2 ? 1 : 2]++;
    taker = (pid_t)syscall(SYS_gettid);
}
static void handle(int number, int flags) {
    struct sigaction action = {.sa_handler = note, .sa_flags = flags};
    sigaction(number, &action, NULL);
}
static int pipes[2];
static volatile pid_t reader_id;
static void *read_pipe(void *own) {
    char byte = 0;
    reader_id = (pid_t)syscall(SYS_gettid);
    long got = read(pipes[0], &byte, 1);
    printf("read %ld %s taken %d %d by %s\n", got, got < 0 ? strerror(errno) : "", taken[0],
           taken[1], taker == reader_id ? "itself" : "another");
    return own;
}
static void settle(void) {
    for (int i = 0; i < 50; i++)
        sched_yield();
    nanosleep(&(struct timespec){0, 30000000}, NULL);
}
static void signals_to(void) {
    pthread_t thread;
    CHECK(!pipe(pipes));
    handle(SIGUSR1, SA_RESTART), handle(SIGUSR2, 0);
    start(&thread, read_pipe, 0);
    settle();
    pthread_kill(thread, SIGUSR1); /* it goes on to read */
    settle();
    CHECK(write(pipes[1], "x", 1) == 1);
    join(thread);
    start(&thread, read_pipe, 0);
    settle();
    pthread_kill(thread, SIGUSR2); /* it does not */
    join(thread);
    CHECK(pthread_kill(pthread_self(), 0) == 0);
    CHECK(syscall(SYS_tgkill, getpid(), 99999, SIGUSR1) == -1 && errno == ESRCH);
    printf("self %d\n", raise(SIGUSR1) || taker != getpid());
}

static void *take_signal(void *own) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    int got = 0, error = sigwait(&set, &got);
    printf("sigwait %d %d\n", error, got == SIGUSR1);
    return own;
}
static void *open_to(void *own) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    reader_id = (pid_t)syscall(SYS_gettid);
    while (!taken[1])
        usleep(1000);
    return own;
}
static void signals_of_all(void) {
    pthread_t thread;
    sigset_t set, before;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    handle(SIGUSR1, 0), handle(SIGUSR2, 0);
    start(&thread, take_signal, 0);
    settle();
    kill(getpid(), SIGUSR1);
    join(thread);
    start(&thread, open_to, 0);
    settle();
    kill(getpid(), SIGUSR2); /* to the one that does not block it */
    join(thread);
    printf("taken %d %d by %s\n", taken[0], taken[1], taker == reader_id ? "it" : "another");
    kill(getpid(), SIGUSR1);
    sigpending(&set);
    printf("pending %d\n", sigismember(&set, SIGUSR1));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    printf("taken %d\n", taken[0]);
}

static int cleaned;
static void clean(void *value) {
    cleaned += (int)(long)value;
}
static void *wait_for_ever(void *own) {
    pthread_cleanup_push(clean, (void *)1);
    sem_post(&empty);
    char byte;
    long how = (long)own;
    if (how == 0)
        pause();
    else if (how == 1)
        CHECK(read(pipes[0], &byte, 1) < 0);
    else if (how == 2) {
        pthread_cleanup_push((void (*)(void *))pthread_mutex_unlock, &lock);
        pthread_mutex_lock(&lock);
        for (;;)
            pthread_cond_wait(&changed, &lock);
        pthread_cleanup_pop(1);
    } else if (how == 3)
        sem_wait(&full);
    else if (how == 4)
        sleep(1000);
    else
        for (;;)
            pthread_testcancel(), sched_yield();
    pthread_cleanup_pop(1);
    return NULL;
}
static void cancels(void) {
    CHECK(!pipe(pipes));
    sem_init(&full, 0, 0);
    for (long how = 0; how < 6; how++) {
        pthread_t thread;
        sem_init(&empty, 0, 0);
        start(&thread, wait_for_ever, how);
        sem_wait(&empty);
        settle();
        CHECK(!pthread_cancel(thread));
        int canceled = join(thread) == (long)PTHREAD_CANCELED;
        printf("canceled %d cleaned %d\n", canceled, cleaned);
    }
    CHECK(!pthread_mutex_trylock(&lock));
}

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
static void robust(void) {
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
static void inheriting(void) {
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

static long passed_since(const struct timespec *start, clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}
static void *sleeper(void *own) {
    struct timespec time = {0, (MANY - (long)own) * 20000000};
    nanosleep(&time, NULL);
    pthread_mutex_lock(&lock);
    printf("awake %ld\n", (long)own);
    pthread_mutex_unlock(&lock);
    return own;
}
static void timed(void) {
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
static void endings(void) {
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
static void last_of_all(void) {
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
static void hundreds(void) {
    thousands(300);
    thousands(300);
}
static void ten_thousand(void) {
    thousands(10000);
}

static double results[MANY][2];
static void *compute(void *own) {
    double x = (double)(long)own + 1, y = 1;
    float wide[8] __attribute__((aligned(32)));
    for (int i = 0; i < 8; i++)
        wide[i] = (float)((long)own + i);
    for (int round = 0; round < 200; round++) {
        y = y * 0.5 + x / 3;
        register double kept __asm__("xmm7") = y;
        unsigned short control, changed = (unsigned short)(0x37f | ((long)own & 3) << 10);
        __asm__ volatile("fldcw %0" ::"m"(changed));
        /* a system call whose caller keeps vector registers over it */
        __asm__ volatile("syscall" : "+x"(kept) : "a"(SYS_sched_yield) : "rcx", "r11", "memory");
        __asm__ volatile("fnstcw %0" : "=m"(control));
        CHECK(control == changed && kept == y);
        for (int i = 0; i < 8; i++)
            wide[i] = wide[i] * 0.75f + (float)i;
    }
    results[(long)own][0] = y, results[(long)own][1] = (double)wide[7];
    return own;
}
static void arithmetic(void) {
    pthread_t threads[MANY];
    for (long i = 0; i < MANY; i++)
        start(&threads[i], compute, i);
    for (int i = 0; i < MANY; i++) {
        join(threads[i]);
        printf("%.10f %.6f\n", results[i][0], results[i][1]);
    }
}

static volatile int stop, spun[MANY];
static void *spin(void *own) {
    while (!stop)
        spun[(long)own]++;
    return own;
}
static void spinning(void) {
    pthread_t threads[MANY];
    for (long i = 0; i < MANY; i++)
        start(&threads[i], spin, i);
    for (int ran = 0; ran < MANY;) { /* this one sleeps beside them */
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        ran = 0;
        for (int i = 0; i < MANY; i++)
            ran += spun[i] > 0;
    }
    stop = 1;
    for (int i = 0; i < MANY; i++)
        join(threads[i]);
    puts("all of them ran");
}

/* Every register holds what is this thread's own, all the time. */
static void *keep_registers(void *own) {
    unsigned long seed = (unsigned long)own * 0x0101010101010101UL + 1, bad = 0;
    double x = (double)(long)own + 0.25;
    for (int round = 0; round < 40; round++) {
        unsigned long wrong;
        __asm__ volatile("movq %1, %%xmm0\n movq %2, %%xmm9\n mov %2, %%r8\n mov %2, %%r15\n"
                         "mov %2, %%rbx\n mov $600000, %%ecx\n xor %%eax, %%eax\n fld1\n"
                         "1: movq %%xmm9, %%rdx\n xor %2, %%rdx\n or %%rdx, %%rax\n"
                         "mov %%r8, %%rdx\n xor %%r15, %%rdx\n or %%rdx, %%rax\n"
                         "mov %%rbx, %%rdx\n xor %2, %%rdx\n or %%rdx, %%rax\n"
                         "mov %%rax, -64(%%rsp)\n cmp -64(%%rsp), %%rax\n jne 2f\n"
                         "dec %%ecx\n jnz 1b\n 2: fstp %%st(0)\n mov %%rax, %0"
                         : "=&r"(wrong)
                         : "x"(x), "r"(seed)
                         : "rax", "rbx", "rcx", "rdx", "r8", "r15", "xmm0", "xmm9", "memory", "cc");
        bad |= wrong;
    }
    CHECK(!bad);
    return own;
}
static void *call_often(void *own) {
    for (int i = 0; i < 400000; i++)
        CHECK(syscall(SYS_getpid) == getpid());
    return own;
}
static void *registers_or_calls(void *own) {
    return (long)own % 3 == 2 ? call_often(own) : keep_registers(own);
}

static int word, other;
static void *wait_word(void *own) {
    long got = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1 << (long)own);
    __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
    return (void *)(got ? -(long)errno : 0);
}
static long futex(int *at, int operation, long value, long count, int *to, long third) {
    long got = syscall(SYS_futex, at, operation, value, count, to, third);
    return got < 0 ? -errno : got;
}
static void futexes(void) {
    pthread_t threads[MANY];
    for (long i = 0; i < MANY; i++)
        start(&threads[i], wait_word, i);
    settle();
    printf("private %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, 0, NULL, 0));
    printf("wake none %ld\n", futex(&other, FUTEX_WAKE, INT_MAX, 0, NULL, 0));
    printf("bits %ld\n", futex(&word, FUTEX_WAKE_BITSET, INT_MAX, 0, NULL, 5));
    printf("compare %ld\n", futex(&word, FUTEX_CMP_REQUEUE, 1, 2, &other, 9));
    printf("requeue %ld\n", futex(&word, FUTEX_CMP_REQUEUE, 1, 2, &other, 0));
    printf("negative %ld\n", futex(&word, FUTEX_REQUEUE, -1, 2, &other, 0));
    printf("moved %ld\n", futex(&other, FUTEX_WAKE, 1, 0, NULL, 0));
    printf("op %ld\n", futex(&word, FUTEX_WAKE_OP, 1, 1, &other,
                             FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0)));
    printf("word %d\n", other);
    printf("op %ld\n", futex(&word, FUTEX_WAKE_OP, 1, 1, &other,
                             FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_LT, 3)));
    printf("word %d\n", other);
    printf("rest %ld\n", futex(&word, FUTEX_WAKE, INT_MAX, 0, NULL, 0));
    long sum = 0;
    for (int i = 0; i < MANY; i++)
        sum += join(threads[i]);
    printf("sum %ld woken %d\n", sum, total);
    int *odd = (int *)((char *)&word + 1);
    printf("odd %ld\n", futex(odd, FUTEX_WAKE, 1, 0, NULL, 0));
    printf("no bits %ld\n", futex(&word, FUTEX_WAKE_BITSET, 1, 0, NULL, 0));
    printf("unknown %ld\n", futex(&word, 77, 1, 0, NULL, 0));
    printf("not owner %ld\n", futex(&word, FUTEX_UNLOCK_PI, 0, 0, NULL, 0));
    printf("realtime %ld\n", futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, 0, NULL, 0));
    word = 99999;
    printf("no owner %ld\n", futex(&word, FUTEX_LOCK_PI, 0, 0, NULL, 0));
}

static void clone_flags(void) {
    static const unsigned long flags[] = {0x10000, 0x800,     0x10800, 0x10900 | 0x10000000,
                                          0x20200, 0x10000200};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        long got = syscall(SYS_clone, flags[i], 0, 0, 0, 0);
        printf("%#lx %ld %s\n", flags[i], got, strerror(errno));
    }
    struct {
        unsigned long words[16];
    } args = {{0x3d0f00}};
    static const struct {
        int at;
        unsigned long value, size;
    } wrong[] = {{0, 0x3d0f00, 63}, {0, 0x3d0f00, 5000}, {12, 1, 104},       {4, 17, 88},
                 {4, 99, 88},       {5, 4096, 88},       {6, 4096, 88},      {8, 1, 88},
                 {9, 1, 88},        {0, 0x7d0f00, 88},   {0, 1UL << 40, 88}, {0, 0x3d0f01, 88}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        memset(&args, 0, sizeof args);
        args.words[0] = 0x3d0f00;
        args.words[wrong[i].at] = wrong[i].value;
        long got = syscall(SYS_clone3, &args, wrong[i].size);
        printf("%d %lu %ld %s\n", wrong[i].at, wrong[i].size, got, strerror(errno));
    }
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
             {"local", local_data, NULL},
             {"signals", signals_to, NULL},
             {"process-signals", signals_of_all, NULL},
             {"cancel", cancels, NULL},
             {"robust", robust, NULL},
             {"inherit", inheriting, NULL},
             {"timed", timed, NULL},
             {"endings", endings, NULL},
             {"last", last_of_all, NULL},
             {"hundreds", hundreds, NULL},
             {"ten-thousand", ten_thousand, NULL},
             {"arithmetic", arithmetic, NULL},
             {"spinning", spinning, NULL},
             {"registers", NULL, registers_or_calls},
             {"futex", futexes, NULL},
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
