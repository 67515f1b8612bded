/* Runs code that it makes, and says what becomes of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, RX = PROT_READ | PROT_EXEC, RWX = RW | PROT_EXEC };
enum { PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };

static sigjmp_buf back;
static char *base;

static void caught(int number, siginfo_t *info, void *context) {
    (void)context;
    printf("signal %d, code %d, at %ld\n", number, info->si_code,
           info->si_addr ? (long)((char *)info->si_addr - base) : -1);
    siglongjmp(back, 1);
}

/* mov $value, %eax; ret */
static void returns(char *at, int value) {
    at[0] = (char)0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = (char)0xc3;
}

static void run(char *at) {
    if (!sigsetjmp(back, 1))
        printf("ran: %d\n", ((int (*)(void))at)());
}

static void write_to(char *at) {
    if (!sigsetjmp(back, 1)) {
        *(volatile char *)at = (char)0xb8;
        puts("written");
    }
}

/* mov $number, %eax; syscall; ret */
static void system_call(char *at) {
    returns(at, SYS_getpid);
    at[5] = 0x0f, at[6] = 0x05, at[7] = (char)0xc3;
    if (!sigsetjmp(back, 1))
        printf("its own: %d\n", ((int (*)(void))at)() == getpid());
}

static void both(void) {
    char *code = base = mmap(0, 64 * PAGE, RWX, PRIVATE, -1, 0);
    printf("both: %d\n", code != MAP_FAILED);
    if (code == MAP_FAILED)
        return;
    for (int i = 0; i < 3; i++) {
        returns(code, i);
        run(code);
    }
    for (int i = 0; i < 64; i++)
        returns(code + i * PAGE, 100 + i);
    int sum = 0;
    for (int i = 0; i < 64; i++)
        sum += ((int (*)(void))(code + i * PAGE))();
    printf("sum: %d\n", sum);
    memcpy(code + PAGE - 3, code, 6); /* across a border */
    run(code + PAGE - 3);
    system_call(code + 2 * PAGE);
    printf("the kernel: %zd\n", read(0, code + PAGE, 2));
    madvise(code, PAGE, MADV_DONTNEED);
    printf("forgotten: %d\n", code[0]);
    munmap(code, 64 * PAGE);
    run(code);
}

static void one_after_the_other(void) {
    char *code = base = mmap(0, 2 * PAGE, RW, PRIVATE, -1, 0);
    returns(code, 7);
    returns(code + PAGE, 8);
    run(code);
    printf("mprotect: %d\n", mprotect(code, PAGE, RX));
    run(code);
    run(code + PAGE);
    write_to(code);
    write_to(code + PAGE);
    printf("mprotect: %d\n", mprotect(code, PAGE, RW));
    write_to(code);
    run(code);
    mprotect(code, 2 * PAGE, PROT_NONE);
    run(code);
    mprotect(code, 2 * PAGE, RX);
    run(code);
    munmap(code, 2 * PAGE);
    code = base = mmap(0, 1UL << 30, PROT_NONE, PRIVATE | MAP_NORESERVE, -1, 0);
    mprotect(code + (1 << 20), 1 << 20, RWX);
    returns(code + (1 << 20), 9);
    run(code + (1 << 20));
    run(code);
    munmap(code, 1UL << 30);
}

int main(void) {
    static char stack[65536];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0);
    for (int number = SIGILL; number <= SIGSEGV; number++)
        sigaction(number,
                  &(struct sigaction){.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK},
                  0);
    both();
    one_after_the_other();
    return 0;
}
