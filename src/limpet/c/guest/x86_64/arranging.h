/*
 * In a guest that is taken back: whoever has the kernel map something otherwise leaves a note of
 * it, by which nothing is asked about what is mapped where there is none (hypercalls/rewind).
 *
 * The note is a flag of a descriptor's, FD_CLOEXEC of PLACES_FD, which nothing else is used for.  A
 * guest can jump to such a system call, but only these instructions stand behind it, and a signal
 * that meets one of them is led to the same (x86_64/word.h): so nothing of the guest's runs between
 * what is done and its note.  A host that does not take the note ends the guest.
 */
#ifndef LIMPET_ARRANGING_H
#define LIMPET_ARRANGING_H

#define HOST_STUB_ARRANGES(hypercall, call)                                                        \
    __attribute__((naked, noinline, section(".text.arranging_" #hypercall))) static long           \
    stub_##hypercall##_##call(long number, long a, long b, long c, long d, long e, long f) {       \
        __asm__ volatile("mov %rdi, %rax\n"                                                        \
                         "mov %rsi, %rdi\n"                                                        \
                         "mov %rdx, %rsi\n"                                                        \
                         "mov %rcx, %rdx\n"                                                        \
                         "mov %r8, %r10\n"                                                         \
                         "mov %r9, %r8\n"                                                          \
                         "mov 8(%rsp), %r9\n"                                                      \
                         "syscall\n"                                                               \
                         ".globl host_" #hypercall "_" #call "\nhost_" #hypercall "_" #call ":\n"  \
                         "mov %rax, %r8\n"                                                         \
                         "lea 1f(%rip), %r9\n"                                                     \
                         "jmp arranging_note\n"                                                    \
                         "1: mov %r8, %rax\n"                                                      \
                         "ret\n");                                                                 \
    }

enum { F_SETFD = 2, NOTHING_ARRANGED = 0, ARRANGED = 1 }; /* the latter is FD_CLOEXEC */

/* To where R9 says; RDX and R8 are as they were. */
__attribute__((naked, noinline, used, section(".text.arranging_note"))) static void
arranging_note(void) {
    __asm__ volatile(
        "mov %%rdx, %%r10\n"
        "mov %[places], %%edi\n"
        "mov %[set], %%esi\n"
        "mov %[arranged], %%edx\n"
        "mov %[fcntl], %%eax\n"
        "syscall\n"
        ".globl host_rewind_arranged\nhost_rewind_arranged:\n"
        "mov %%r10, %%rdx\n"
        "test %%rax, %%rax\n"
        "jz 1f\n"
        "cmp %[none], %%rax\n" /* nobody hears of this guest, and so it never goes back */
        "jne 2f\n"
        "1: jmp *%%r9\n"
        "2: movabs %[stack], %%rsp\n"
        "jmp rewound_end_it\n" ::[places] "i"(PLACES_FD),
        [set] "i"(F_SETFD), [arranged] "i"(ARRANGED), [fcntl] "i"(NR_FCNTL),
        [none] "i"(-HOST_EBADF), [stack] "i"(REWOUND_WORK + REWOUND_WORK_SIZE));
}

#endif
