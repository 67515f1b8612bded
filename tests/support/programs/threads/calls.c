/* The system calls themselves: futex and clone. */
#include "threads.h"

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
void futexes(void) {
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

/* Of another thread, by its number; a thread that is gone has none. */
void clocks(void) {
    pthread_t thread;
    clockid_t clock;
    struct timespec time = {-1, -1};
    start(&thread, wait_word, 0);
    settle();
    CHECK(!pthread_getcpuclockid(thread, &clock));
    printf("there %d", clock_gettime(clock, &time));
    printf(" %d", time.tv_sec >= 0);
    printf(" %d\n", clock_getres(clock, &time));
    word = 0;
    futex(&word, FUTEX_WAKE, 1, 0, NULL, 0);
    join(thread);
    settle();
    printf("gone %d", clock_gettime(clock, &time));
    printf(" %d\n", errno);
}

void clone_flags(void) {
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
