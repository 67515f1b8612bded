/* Comes to a moment where it waits for input, with much to remember; then says what is left. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static int turn;
static sigjmp_buf back;
static volatile int rang, enough;
static volatile unsigned long turns;

static void *other(void *of_main) {
    pthread_mutex_lock(&lock);
    turn = 1;
    pthread_cond_broadcast(&told);
    while (turn != 2)
        pthread_cond_wait(&told, &lock);
    printf("the other thread has %d\n", *(int *)of_main);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* It computes all the time: nobody else has a turn but by a tick. */
static void *compute(void *unused) {
    while (!enough)
        turns++;
    return unused;
}

static void fault(int number) {
    siglongjmp(back, number);
}

static void ring(int number) {
    (void)number;
    rang = 1;
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Linux keeps vector registers over a system call. */
static long read_with_a_vector(char *to, long size, long *kept) {
    long result;
    __asm__ volatile("movq %2, %%xmm7\n\txor %%edi, %%edi\n\tsyscall\n\tmovq %%xmm7, %1"
                     : "=a"(result), "=r"(*kept)
                     : "r"(0x1122334455667788L), "0"(SYS_read), "S"(to), "d"(size)
                     : "rdi", "rcx", "r11", "xmm7", "memory");
    return result;
}

int main(int count, char **words) {
    char line[64] = "", again[8] = "";
    int of_main = 41, file = open("/tmp/notes", O_CREAT | O_RDWR | O_TRUNC, 0600);
    unsigned char *block = malloc(3000000);
    char *fixed = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t thread, busy_one;
    memset(block, 7, 3000000);
    strcpy(fixed, "fixed");
    mprotect(fixed, 4096, PROT_READ);
    char *kept_away = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(kept_away, "kept away");
    mprotect(kept_away, 4096, PROT_NONE);
    char *twice[2];
    int of_twice = memfd_create("twice", 0);
    for (int i = 0; i < 2 && !ftruncate(of_twice, 4096); i++) {
        twice[i] = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mmap(twice[i], 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, of_twice, 0);
        strcpy(twice[i], "at two addresses");
    }
    volatile char *gone = fixed + 4096;
    munmap(fixed + 4096, 4096);
    if (write(file, "0123456789", 10) != 10 || lseek(file, 4, SEEK_SET) != 4)
        return 1;
    pthread_mutex_lock(&lock);
    pthread_create(&thread, NULL, other, &of_main);
    while (turn != 1)
        pthread_cond_wait(&told, &lock);
    pthread_mutex_unlock(&lock);
    pthread_create(&busy_one, NULL, compute, NULL);
    while (!turns)
        ;
    signal(SIGALRM, ring);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 400000}}, NULL);
    double then = now(CLOCK_MONOTONIC), busy = now(CLOCK_PROCESS_CPUTIME_ID);
    unsigned long before, after;
    if (getrandom(&before, 8, 0) != 8)
        return 1;
    printf("at the moment\n");
    fflush(stdout);

    long kept, size = read_with_a_vector(line, sizeof line - 1, &kept);
    printf("read %ld: %s", size, line);
    printf("vector %lx, word %s of %d\n", kept, words[count - 1], count);
    double passed = now(CLOCK_MONOTONIC) - then;
    printf("monotonic %d, busy %d\n", passed >= 0 && passed < 2,
           now(CLOCK_PROCESS_CPUTIME_ID) >= busy);
    for (unsigned long before_us = turns; turns == before_us;)
        ;
    enough = 1;
    pthread_join(busy_one, NULL);
    while (!rang)
        poll(NULL, 0, 50);
    printf("rang\nblock %d %d\n", block[0], block[2999999]);
    twice[0][0] = 'A', twice[1][1] = 'T';
    printf("%s, %s\n", twice[0], twice[1]);
    printf("file %ld %s\n", (long)read(file, again, 4), again);
    signal(SIGSEGV, fault);
    int number = sigsetjmp(back, 1);
    if (!number)
        *(volatile char *)fixed = 0;
    printf("%s, signal %d\n", fixed, number);
    number = sigsetjmp(back, 1);
    if (!number)
        *gone = 0;
    printf("unmapped, signal %d\n", number);
    number = sigsetjmp(back, 1);
    if (!number)
        number = *(volatile char *)kept_away;
    mprotect(fixed, 4096, PROT_READ | PROT_WRITE);
    mprotect(kept_away, 4096, PROT_READ | PROT_WRITE);
    fixed[0] = 'm', kept_away[0] = 'l';
    printf("%s, %s, signal %d\n", fixed, kept_away, number);
    of_main++;
    pthread_mutex_lock(&lock);
    turn = 2;
    pthread_cond_broadcast(&told);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    if (getrandom(&after, 8, 0) != 8)
        return 1;
    fprintf(stderr, "%lx %lx %ld\n", before, after, (long)time(NULL));
    return 5;
}
