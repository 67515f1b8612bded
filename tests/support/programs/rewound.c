/*
 * A guest that its monitor keeps, and that leaves as much as it can behind before it asks to be
 * taken back.  It says what it finds each time that it goes on, reads a word of eight bytes, of
 * which the first says what it leaves, and asks with that word.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 300, LAST = 511, FAULTS = 11 * PAGE };

struct vectors {
    uint64_t wide[2];
    uint64_t gs;
    uint32_t mxcsr;
    uint16_t control;
};

/* Where only the host writes: asked by way of the library OS, and around it. */
static volatile char mail[PAGE] __attribute__((aligned(PAGE)));
static volatile char direct[PAGE] __attribute__((aligned(PAGE)));
static volatile char data[PAGES][PAGE];
static volatile char untouched[PAGES][PAGE] __attribute__((aligned(PAGE)));
static volatile int heard;
static char *heap, *mapped, *guarded;
static int device, kept_file;
static unsigned waits, reads; /* ports */
static volatile uint64_t *block;

static void hear(int number) {
    (void)number;
    heard++;
}

static void *count(void *to) {
    for (;;)
        ++*(volatile int *)to;
    return NULL;
}

static int counter;

/* The write by which it asks, with vector registers of its own before it and as found behind. */
static long ask(const void *word, struct vectors *vectors) {
    long result;
    __asm__ volatile("movdqu (%[v]), %%xmm9\nmov 16(%[v]), %%r8\nwrgsbase %%r8\n"
                     "ldmxcsr 24(%[v])\nfldcw 28(%[v])\nsyscall\n"
                     "movdqu %%xmm9, (%[v])\nrdgsbase %%r8\nmov %%r8, 16(%[v])\n"
                     "stmxcsr 24(%[v])\nfnstcw 28(%[v])\n"
                     : "=a"(result)
                     : "a"(1L), "D"((long)device), "S"(word), "d"(8L), [v] "b"(vectors)
                     : "rcx", "r8", "r11", "xmm9", "memory");
    if (result < 0)
        errno = (int)-result;
    return result;
}

static int threads(void) {
    int found = 0;
    DIR *all = opendir("/proc/self/task");
    while (all && readdir(all))
        found++;
    closedir(all);
    return found - 2;
}

static int sum(volatile char (*pages)[PAGE]) {
    int total = 0;
    for (int i = 0; i < PAGES; i++)
        total += pages[i][i];
    return total;
}

static void say(const struct vectors *v) {
    struct timespec mono, real;
    struct itimerval timer;
    struct stat file;
    uint64_t chance;
    sigset_t blocked;
    usleep(1000); /* what has been sent to it is heard here */
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &real);
    getrandom(&chance, sizeof chance, 0);
    getitimer(ITIMER_REAL, &timer);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    fstat(kept_file, &file);
    int next = dup(0);
    fprintf(stderr, "%lx %ld %ld\n", (long)chance, (long)real.tv_sec,
            mono.tv_sec * 1000 + mono.tv_nsec / 1000000);
    printf("data %d %d heap %d mapped %d mail %d %d %d block %lx guarded %d ", sum(data),
           sum(untouched), heap[PAGE], mapped[0], mail[0], direct[0], (int)block[LAST],
           (long)block[4], access(guarded, F_OK) && errno == EFAULT);
    printf("xmm %lx %lx gs %lx mxcsr %x fcw %x ", (long)v->wide[0], (long)v->wide[1], (long)v->gs,
           v->mxcsr, v->control);
    printf("heard %d threads %d counter %d timer %ld blocked %d ", heard, threads(), counter,
           (long)timer.it_value.tv_sec, sigismember(&blocked, SIGUSR2));
    printf("file %ld at %ld left %d next %d\n", (long)file.st_size,
           (long)lseek(kept_file, 0, SEEK_CUR), access("/left", F_OK), next);
    fflush(stdout);
    close(next);
}

static void leave_memory(void) {
    for (int i = 0; i < PAGES; i++)
        data[i][i] = untouched[i][i] = 1;
    memset(heap, 1, 1 << 20);
    memset(mapped, 1, 1 << 20);
    for (int i = 0; i < 8; i++) {
        char *more =
            mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(more, 1, 4 << 20);
    }
    munmap(mapped + (1 << 19), 1 << 19);
    mprotect(mapped, PAGE, PROT_NONE); /* page tables are the guest's memory, too */
    mprotect(guarded, PAGE, PROT_READ | PROT_WRITE);
    guarded[0] = 1;
    mprotect((void *)untouched[3], PAGE, PROT_NONE);
}

static void leave_rest(void) {
    const struct itimerval soon = {{0, 1000}, {0, 1000}};
    pthread_t thread;
    int left = open("/left", O_CREAT | O_WRONLY, 0600);
    write(left, "left", 4);
    write(kept_file, "more", 4);
    signal(SIGALRM, hear);
    signal(SIGUSR1, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, count, &counter);
}

static void out(unsigned port, volatile uint64_t *at) {
    __asm__ volatile("outl %0, %w1" ::"a"((uint32_t)(uintptr_t)at), "Nd"(port) : "memory");
}

/* What the monitor answers, and reads, lies where the guest has never written. */
static void leave_answer(void) {
    uint64_t *asks = (uint64_t *)block - 512;
    asks[0] = (uintptr_t)direct;
    asks[1] = 8;
    out(waits, block);
    out(reads, asks);
}

/* A read that faults where pages behind the block's may only be read: the host has copied what is
 * before them. */
static void leave_half(void) {
    uint64_t *asks = (uint64_t *)block - 512;
    asks[0] = (uintptr_t)(block + LAST);
    asks[1] = FAULTS;
    out(waits, asks + 64);
    out(reads, asks);
    if (asks[2] != -(uint64_t)EFAULT)
        _exit(6);
    asks[0] = (uintptr_t)data;
    out(reads, asks);
}

/* One page, of which the host keeps more than its content. */
static void leave_right(void) {
    mprotect(guarded, PAGE, PROT_READ | PROT_WRITE);
    guarded[0] = 1;
}

static void leave(char what) {
    if (what == 'm' || what == 'a')
        leave_memory();
    if (what == 'r' || what == 'a')
        leave_rest();
    if (what == 'b' || what == 'a')
        leave_answer();
    if (what == 'g')
        leave_right();
    if (what == 'f')
        leave_half();
}

int main(int argc, char **argv) {
    struct vectors kept = {{0x1111, 0x2222}, 0x3333, 0x1f80, 0x37f};
    if (argc < 4)
        return 2;
    waits = strtoul(argv[1], NULL, 0);
    reads = strtoul(argv[2], NULL, 0);
    block = (volatile uint64_t *)strtoul(argv[3], NULL, 0);
    heap = calloc(1, 2 << 20);
    mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guarded = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    kept_file = open("/kept", O_CREAT | O_RDWR, 0600);
    write(kept_file, "kept", 4);
    signal(SIGUSR1, hear), signal(SIGUSR2, hear), signal(SIGHUP, hear), signal(SIGWINCH, hear);
    int moment = open("/dev/limpet/snapshot", O_WRONLY);
    write(moment, "x", 1);
    data[7][7] = 0;
    device = open("/dev/limpet/rewind", O_WRONLY);
    if (ask("keep it", &kept) != 8) {
        perror("not kept");
        return 3;
    }
    say(&kept);
    if (read(0, (void *)mail, 8) != 8)
        return 4;
    leave(mail[0]);
    kept = (struct vectors){{0x4444, 0x5555}, 0x6666, 0x3f80, 0x27f};
    ask(mail[0] == 'w' ? "no word" : (void *)mail, &kept);
    puts("it went on");
    return 5;
}
