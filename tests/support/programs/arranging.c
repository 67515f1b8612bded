/* Says what reservations, rights and guard pages do; starts a thread only if it is asked to. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };
#define MIB (1UL << 20)
#define GIB (1UL << 30)

static sigjmp_buf back;
static siginfo_t last;
static char *base;

static void caught(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    last = *info;
    siglongjmp(back, 1);
}

/* What a read or a write there does. */
static void touch(char *at, int writes) {
    if (sigsetjmp(back, 1)) {
        printf("%s: signal %d, code %d, at %ld\n", writes ? "write" : "read", last.si_signo,
               last.si_code, (long)((char *)last.si_addr - base));
        return;
    }
    if (writes)
        *(volatile char *)at = 1;
    else
        (void)*(volatile char *)at;
    printf("%s: works\n", writes ? "write" : "read");
}

static void reservation(void) {
    base = mmap(0, 1024 * GIB, PROT_NONE, PRIVATE | MAP_NORESERVE, -1, 0);
    printf("reserved: %d\n", base != MAP_FAILED);
    touch(base, 0);
    char *part = mmap(base + GIB, 64 * MIB, RW, PRIVATE | MAP_FIXED, -1, 0);
    printf("in it: %d\n", part == base + GIB);
    touch(part, 1);
    touch(part + PAGE, 0);
    touch(part + 64 * MIB, 1);
    touch(part - 1, 1);
    memset(part, 7, 8 * MIB);
    madvise(part, 4 * MIB, MADV_DONTNEED);
    printf("%d %d\n", part[0], part[4 * MIB]);
    char *page = part + 4 * MIB;
    mprotect(page, PAGE, PROT_NONE);
    touch(page, 0);
    touch(page + PAGE, 1);
    printf("the kernel too: %zd\n", write(1, page, 1));
    mprotect(page, PAGE, PROT_READ);
    touch(page, 0);
    touch(page, 1);
    mprotect(page, PAGE, RW);
    touch(page, 1);
    printf("kept: %d\n", page[1]);
    mprotect(part - 16 * MIB, 8 * MIB, RW);
    touch(part - 16 * MIB, 1);
    touch(part - 8 * MIB, 1);
    munmap(part, 64 * MIB);
    touch(part, 0);
    touch(part + 5 * MIB, 1);
    printf("unmapped: %d\n", munmap(base, 1024 * GIB));
    touch(base + GIB - 16 * MIB, 0);
}

/* More than there is, but never at once. */
static void lazily(void) {
    char *large = mmap(0, GIB, RW, PRIVATE | MAP_NORESERVE, -1, 0);
    for (unsigned long i = 0; i < 200; i++) {
        large[i * 4 * MIB] = 1;
        if (i % 8 == 7)
            madvise(large + (i - 7) * 4 * MIB, 32 * MIB, MADV_DONTNEED);
    }
    printf("%d %d\n", large[0], large[199 * 4 * MIB]);
    large[PAGE] = 'x', large[PAGE + 1] = '\n';
    fflush(stdout);
    printf("written: %zd\n", write(1, large + PAGE, 2));
    fflush(stdout);
    printf("from nothing: %zd\n", write(1, large + 1000 * MIB, 0));
    printf("read: %zd\n", read(0, large + 900 * MIB, 3));
    printf("%.3s\n", large + 900 * MIB);
    char *longer = mremap(large, GIB, 2 * GIB, MREMAP_MAYMOVE);
    printf("%d %c\n", longer != MAP_FAILED, longer[PAGE]);
    base = longer;
    munmap(longer, 2 * GIB);
    touch(longer, 0);
}

static void rights(void) {
    char *pages = base = mmap(0, 2 * PAGE, RW, PRIVATE, -1, 0);
    pages[0] = 1;
    mprotect(pages, PAGE, PROT_READ);
    touch(pages, 0);
    touch(pages, 1);
    touch(pages + PAGE, 1);
    madvise(pages, PAGE, MADV_DONTNEED);
    printf("forgotten: %d\n", pages[0]);
    mprotect(pages, 2 * PAGE, PROT_NONE);
    touch(pages, 0);
    printf("the kernel too: %zd\n", write(1, pages, 1));
    munmap(pages, 2 * PAGE);
    pages = base = mmap(0, 2 * PAGE, RW, PRIVATE, -1, 0);
    touch(pages, 1);
    munmap(pages, 2 * PAGE);
    pages = base = mmap(0, PAGE, PROT_READ, PRIVATE, -1, 0);
    touch(pages, 1);
}

static void *nothing(void *value) {
    return value;
}

int main(int count, char **argument) {
    pthread_t thread;
    static char stack[65536];
    if (count > 1 && argument[1][0] == 't')
        return pthread_create(&thread, 0, nothing, 0);
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0);
    sigaction(SIGSEGV,
              &(struct sigaction){.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK}, 0);
    reservation();
    lazily();
    rights();
    return 0;
}
