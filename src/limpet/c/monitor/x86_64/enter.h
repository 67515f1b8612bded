/*
 * The last step before other code runs in the same process: unmap the host's stack,
 * with its environment, and the vDSO; close the door; jump.  No memory of the old stack may
 * be touched any more.  Where there is no filter, it ends by a system call: a fault would
 * run the guest's handler, without one.
 */
#ifndef LIMPET_ENTER_H
#define LIMPET_ENTER_H

#include "core/monitor.h"

struct filter {
    u64 length, program;
};

/* What the host's kernel has put where the plan has nothing. */
static inline void unmap(u64 low, u64 high) {
    host3(NR_MUNMAP, (long)low, (long)(high - low), 0);
}

/* What lies from `end` on is unmapped; the code at `start` has that stack pointer and argument.
 * Each use has its own, whose filter and place an audit can read. */
static inline __attribute__((always_inline)) _Noreturn void
enter(const struct filter *filter, u64 end, u64 start, u64 stack, u64 argument) {
    register long r10 __asm__("r10") = (long)filter;
    register u64 r8 __asm__("r8") = stack;
    register u64 r9 __asm__("r9") = argument;
    __asm__ volatile(
        "syscall\n"
        "mov %[seccomp], %%eax\n"
        "mov %[mode], %%edi\n"
        "xor %%esi, %%esi\n"
        "mov %%r10, %%rdx\n"
        "syscall\n"
        "test %%eax, %%eax\n"
        "jnz 1f\n"
        "mov %%r8, %%rsp\n"
        "mov %%r9, %%rdi\n"
        "jmp *%[start]\n"
        "1: mov %[exit], %%eax\n"
        "mov %[status], %%edi\n"
        "syscall\n"
        "jmp 1b\n"
        :
        : "a"(NR_MUNMAP), "D"(end),
          "S"(HOST_END - end), [seccomp] "i"(NR_SECCOMP), [mode] "i"(SECCOMP_SET_MODE_FILTER),
          "r"(r10), "r"(r8),
          "r"(r9), [start] "b"(start), [exit] "i"(NR_EXIT_GROUP), [status] "i"(EXIT_CANNOT_START)
        : "memory");
    __builtin_unreachable();
}

#endif
