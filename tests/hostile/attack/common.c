/*
 * A hostile guest: argv[1] names an attack, the rest are its numbers.  An attack that the machine
 * lets pass returns, and main says so.  The files of this folder are one
 * text, in the order of guest.py, which puts its own where "instructions.h" stands.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

typedef uint64_t u64;
typedef void attack(const u64 *n);

static const volatile char constant[64] = {1};
static volatile char data[64] = {1};

#include "instructions.h"

static sigjmp_buf back;

static void caught(int number) {
    siglongjmp(back, number);
}

static void handle(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
    sigaction(number, &action, NULL);
}

static void catch_all(void) {
    static const int faults[] = {SIGSEGV, SIGILL, SIGTRAP, SIGBUS, SIGFPE};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        handle(faults[i], caught);
}

/* Whether code at `at` ends with a fault; some kinds of host make SIGILL of a #GP. */
static bool refused_at(const void *at, u64 rdx) {
    int got = sigsetjmp(back, 0);
    if (got == 0) {
        u64 rax = 0, rsi = (u64)data, rdi = (u64)data;
        __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                         : "+a"(rax), "+d"(rdx), "+S"(rsi), "+D"(rdi)
                         : [at] "r"(at)
                         : "rcx", "memory", "cc");
    }
    return got == SIGSEGV || got == SIGILL;
}

/* A SYSCALL that no rewriter sees: it lies inside another instruction. */
__asm__(".balign 16\n.type hidden, @function\nhidden: mov $0x90c3050f, %eax\nret\n");
extern const char hidden[];

/* Below the red zone: the compiler does not see that the stack is used. */
static long call_at(u64 at, const u64 *n) {
    register u64 r10 __asm__("r10") = n[4];
    register u64 r8 __asm__("r8") = n[5];
    register u64 r9 __asm__("r9") = n[6];
    long result;
    __asm__ volatile("lea -128(%%rsp), %%rsp\ncall *%[at]\nlea 128(%%rsp), %%rsp"
                     : "=a"(result)
                     : [at] "b"(at), "a"(n[0]), "D"(n[1]), "S"(n[2]), "d"(n[3]), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
