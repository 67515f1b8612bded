/* A shared file's pages at more addresses than one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, RING = 4 * PAGE, LARGE = 3 << 20 };
static sigjmp_buf back;

static void caught(int signal) {
    siglongjmp(back, signal);
}

static int touch(volatile char *at, int writes) {
    int signal = sigsetjmp(back, 1);
    if (!signal && writes)
        *at = 'w';
    else if (!signal)
        (void)*at;
    return signal;
}

static int made(const char *name, long size) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (ftruncate(fd, size))
        perror(name);
    return fd;
}

static char *reserved(long size) {
    return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *fixed(char *at, long size, int rights, int fd, long offset) {
    char *got = mmap(at, size, rights, MAP_SHARED | MAP_FIXED, fd, offset);
    printf("fixed: %d\n", got == at ? 0 : errno);
    return got;
}

static void ring(void) {
    int fd = memfd_create("ring", 0);
    if (ftruncate(fd, RING))
        perror("ring");
    char *at = reserved(2 * RING);
    fixed(at, RING, PROT_READ | PROT_WRITE, fd, 0);
    fixed(at + RING, RING, PROT_READ | PROT_WRITE, fd, 0);
    close(fd);
    long sum = 0;
    for (long turn = 0, to = 0; turn < 50; turn++, to = (to + 777) % RING) {
        memset(at + to, (char)turn, 777);
        for (long i = 0; i < 777; i++)
            sum += at[to + i];
    }
    memcpy(at + RING - 10, "all of it at once\n", 18);
    printf("ring: %ld %.8s", sum, at);
    int out = memfd_create("out", 0);
    printf("written: %ld", (long)write(out, at + 100, RING));
    printf(" %ld\n", (long)pread(out, at + RING - 100, RING, 0));
    fflush(stdout);
    memset(at, '.', RING);
    at[RING] = '.';
    long done = 0; /* all of it from the middle of a page on: that page twice */
    for (long wrote = 1; wrote > 0 && done < RING; done += wrote)
        wrote = write(1, at + 100 + done, RING - done);
    for (int i = 0; i < 3; i++)
        memset(at + i * 5, 'a' + i, RING);
    for (int i = 0; i < RING; i++)
        sum = sum * 31 + at[i];
    printf("\nall: %ld, %ld, %d\n", done, sum, munmap(at, 2 * RING));
    close(out);
}

static void rights(void) {
    int fd = made("rights", 3 * PAGE);
    char *home = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 0), *at = reserved(4 * PAGE);
    fixed(at, 3 * PAGE, PROT_READ | PROT_WRITE, fd, 0);
    strcpy(at, "seen"), strcpy(at + PAGE, "there");
    printf("rights: %s %s, write %d %d\n", home, home + PAGE, touch(home, 1), touch(at, 1));
    printf("rights: %s, write %d %d\n", home, touch(home, 1), touch(home + 2 * PAGE, 1));
    mprotect(at, PAGE, PROT_READ);
    printf("sealed: %d %d %d\n", touch(at, 1), touch(at, 0), touch(at + PAGE, 1));
    mprotect(home, 3 * PAGE, PROT_NONE);
    printf("hidden: %d %d %s\n", touch(home, 0), touch(at, 0), at);
    char text[8] = "";
    printf("read: %zd ", pread(fd, text, 6, 0)), puts(text);
    printf("wrote: %zd ", pwrite(fd, "other", 6, 0)), puts(at);
    mprotect(home, 3 * PAGE, PROT_READ);
    at[PAGE] = 'z';
    printf("cut: %d, ", ftruncate(fd, PAGE));
    printf("%d %d %d %d\n", touch(at, 0), touch(at + PAGE, 0), touch(home, 0),
           touch(home + PAGE, 0));
    printf("grown: %d, ", ftruncate(fd, 3 * PAGE));
    printf("%d %d\n", at[PAGE], home[PAGE]);
    at[2 * PAGE] = 'x';
    printf("gone: %d, %c\n", munmap(home, 3 * PAGE), at[2 * PAGE]);
    printf("read: %zd ", pread(fd, text, 6, 0)), puts(text);
    home = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    home[1] = 'k';
    printf("again: %s %c\n", at, home[2 * PAGE]);
    printf("gone: %d, %s\n", munmap(at, 2 * PAGE), at + 2 * PAGE);
    printf("gone: %d %s\n", munmap(at + 2 * PAGE, PAGE), home);
    home[0] = 'q';
    printf("read: %zd ", pread(fd, text, 6, 0)), puts(text);
    munmap(home, 3 * PAGE);
    printf("read: %zd ", pread(fd, text, 6, 0)), puts(text);
    close(fd);
}

/* Windows that lie over each other: there is no row for all of them. */
static void windows(void) {
    int fd = made("windows", LARGE);
    for (int i = 0; i < LARGE / PAGE; i++)
        if (pwrite(fd, &i, sizeof i, (long)i * PAGE) < 0)
            perror("windows");
    char *at[8];
    for (int i = 0; i < 8; i++)
        at[i] = mmap(NULL, 96 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (long)i * 80 * PAGE);
    char *all = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    long sum = 0;
    for (int i = 0; i < 8; i++) {
        for (int page = 0; page < 96; page++)
            ++*(int *)(at[i] + page * PAGE);
    }
    for (int page = 0; page < LARGE / PAGE; page++)
        sum = sum * 3 + *(int *)(all + page * PAGE);
    printf("windows: %ld\n", sum);
    for (int page = 0; page < LARGE / PAGE; page++)
        ++*(int *)(all + page * PAGE);
    for (int i = 0; i < 8; i++) {
        for (int page = 0; page < 96; page++)
            sum = sum * 3 + *(int *)(at[i] + page * PAGE);
        munmap(at[i], 96 * PAGE);
    }
    int last;
    printf("windows: %ld, %zd %d\n", sum, pread(fd, &last, sizeof last, LARGE - PAGE), last);
    munmap(all, LARGE), close(fd);
}

static void moved(void) {
    int fd = made("moved", 2 * PAGE);
    char *home = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *at = reserved(8 * PAGE), *twice;
    strcpy(home, "one"), strcpy(home + PAGE, "two");
    twice = mremap(home, 0, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at);
    printf("twice: %d %s %s\n", twice == at, at, at + PAGE);
    at[0] = 'O', home[PAGE] = 'T';
    printf("twice: %s %s\n", home, at + PAGE);
    twice = mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + 4 * PAGE);
    printf("moved: %d %s %d\n", twice == at + 4 * PAGE, twice, touch(at, 0));
    twice[1] = 'N';
    printf("moved: %s\n", home);
    munmap(home, 2 * PAGE);
    fixed(at, PAGE, PROT_READ | PROT_WRITE, fd, PAGE);
    at[1] = 'W';
    printf("second: %s %s\n", at, twice + PAGE);
    char text[4];
    printf("read into itself: %zd %s\n", pread(fd, at, 4, 0), twice + PAGE);
    printf("read: %zd %s\n", pread(fd, text, 4, PAGE), text);
    close(fd), unlink("moved");
    printf("unlinked: %s\n", twice);
    munmap(at, 8 * PAGE);
}

static char *left, *right;

static void *other(void *what) {
    (void)what;
    for (int i = 0; i < 500; i++)
        __atomic_add_fetch((int *)right, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void threads(void) {
    int fd = made("threads", PAGE);
    pthread_t thread;
    left = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), right = reserved(PAGE);
    fixed(right, PAGE, PROT_READ | PROT_WRITE, fd, 0);
    pthread_create(&thread, NULL, other, NULL);
    for (int i = 0; i < 500; i++)
        __atomic_add_fetch((int *)left, 1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    printf("threads: %d\n", *(int *)left);
    close(fd);
}

/* An instruction that reads the page at one address and writes it at another. */
static void both(void) {
    int fd = made("both", PAGE);
    char *from = reserved(PAGE), *to = reserved(PAGE);
    fixed(from, PAGE, PROT_READ | PROT_WRITE, fd, 0);
    fixed(to, PAGE, PROT_READ | PROT_WRITE, fd, 0);
    __asm__ volatile("movsb" : "+S"(from), "+D"(to)::"memory");
    puts("both");
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count < 2 || chdir(arguments[1]))
        return 1;
    if (count > 2) {
        both();
        return 0;
    }
    signal(SIGSEGV, caught), signal(SIGBUS, caught);
    ring();
    rights();
    windows();
    moved();
    threads();
    return 0;
}
