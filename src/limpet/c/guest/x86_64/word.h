/*
 * The word, and everything behind it: one way, from the system call that says it to the guest as it
 * was kept.  No register or flag of the guest's is used before it has its own value.
 *
 * `rewound_signal` is where the kernel leads a signal, before anything else: what has met the way
 * behind the word begins it again, but for its last steps, where all is as it was.  A signal may
 * meet this entry itself, or the jump to it: then where the one before it came from counts.  One
 * that has met what arranges memory (x86_64/arranging.h) goes on to the guest once that is noted.
 */
#ifndef LIMPET_WORD_H
#define LIMPET_WORD_H

enum { RFLAGS_USUAL = 0x202, DATA_SELECTOR = 0x2b };
enum { SAYS_AT_ONCE = 0x4040, WORD_SIZE = 8 }; /* MSG_NOSIGNAL, MSG_DONTWAIT */

static __attribute__((used)) const u64 rewound_flags = RFLAGS_USUAL;

static __attribute__((naked, noinline)) void rewound_go(const u64 *word) {
    __asm__ volatile(
        "mov %%rdi, %%rsi\n"
        "mov %[size], %%edx\n"
        "mov %[input], %%edi\n"
        "mov %[write], %%eax\n"
        "syscall\n"
        ".globl host_rewind_write\nhost_rewind_write:\n"
        "lea rewound_flags(%%rip), %%rsp\n"
        "popfq\n"
        "movabs %[stack], %%rsp\n"
        "xor %%ecx, %%ecx\n"
        "mov %%ecx, %%ds\n"
        "mov %%ecx, %%es\n"
        "mov %%ecx, %%fs\n"
        "mov %%ecx, %%gs\n"
        "mov %[data], %%ecx\n"
        "mov %%ecx, %%ss\n"
        "call rewound_make\n"
        "mov %%rax, %%r12\n"
        "test %%rdx, %%rdx\n"
        "jz 2f\n"
        "mov %[places], %%edi\n"
        "mov %[set], %%esi\n"
        "mov %[arranged], %%edx\n"
        "mov %[fcntl], %%eax\n"
        "syscall\n"
        ".globl host_rewind_still\nhost_rewind_still:\n"
        "movabs %[stack], %%rsp\n" /* whoever comes here comes to the end, and is not believed */
        "2: test %%r12, %%r12\n"
        "jz 1f\n"
        "movabs %[noted], %%rdi\n"
        "mov %[page], %%esi\n"
        "mov %[writable], %%edx\n"
        "mov $-1, %%r10d\n"
        "mov %[pkey_mprotect], %%eax\n"
        "syscall\n"
        ".globl host_rewind_pkey_mprotect\nhost_rewind_pkey_mprotect:\n"
        "movabs %[stack], %%rsp\n" /* the same */
        "test %%rax, %%rax\n"
        "jnz 1f\n"
        "movabs %[noted], %%rdi\n"
        "mov %%r12, (%%rdi)\n"
        "call rewound_seal\n"
        "1:\n"
        "movabs %[work], %%rdi\n"
        "mov %[words], %%ecx\n"
        "xor %%eax, %%eax\n"
        "rep stosq\n"
        "movabs %[work], %%rdi\n" /* XRSTOR of zeros: no register has anything of the last call */
        "mov $-1, %%eax\n"
        "mov $-1, %%edx\n"
        "xrstor64 (%%rdi)\n"
        "wrfsbase %%rcx\n" /* which are stored as well; AMD's keep theirs with a null selector */
        "wrgsbase %%rcx\n"
        "mov %[input], %%edi\n"
        "movabs %[zeros], %%rsi\n"
        "mov %[size], %%edx\n"
        "mov %[at_once], %%r10d\n"
        "xor %%r8d, %%r8d\n"
        "xor %%r9d, %%r9d\n"
        "mov %[sendto], %%eax\n"
        "syscall\n"
        ".globl host_rewind_sendto\nhost_rewind_sendto:\n"
        "cmp %[size], %%rax\n" /* who was not heard may have come here without the word */
        "jne rewound_end_it\n"
        "rewound_said:\n"
        "movabs %[zeros], %%rax\n"
        "mov %c[kept_stack](%%rax), %%rsp\n"
        "mov %c[kept_back](%%rax), %%rax\n"
        "xor %%ecx, %%ecx\n"
        "xor %%edx, %%edx\n"
        "xor %%ebx, %%ebx\n"
        "xor %%esi, %%esi\n"
        "xor %%edi, %%edi\n"
        "xor %%ebp, %%ebp\n"
        "xor %%r10d, %%r10d\n"
        "xor %%r11d, %%r11d\n"
        "xor %%r12d, %%r12d\n"
        "xor %%r13d, %%r13d\n"
        "xor %%r14d, %%r14d\n"
        "xor %%r15d, %%r15d\n"
        "jmp *%%rax\n"
        "rewound_end:\n" ::[size] "i"(WORD_SIZE),
        [input] "i"(STDIN), [write] "i"(NR_WRITE), [stack] "i"(REWOUND_WORK + REWOUND_WORK_SIZE),
        [data] "i"(DATA_SELECTOR), [work] "i"(REWOUND_WORK), [words] "i"(REWOUND_WORK_SIZE / 8),
        [zeros] "i"(REWOUND_AT), [at_once] "i"(SAYS_AT_ONCE), [sendto] "i"(NR_SENDTO),
        [noted] "i"(NOTED_AT), [page] "i"(PAGE), [writable] "i"(PROT_READ | PROT_WRITE),
        [pkey_mprotect] "i"(NR_PKEY_MPROTECT), [fcntl] "i"(NR_FCNTL), [places] "i"(PLACES_FD),
        [set] "i"(F_SETFD), [arranged] "i"(NOTHING_ARRANGED),
        [kept_stack] "i"(__builtin_offsetof(struct rewound, stack)),
        [kept_back] "i"(__builtin_offsetof(struct rewound, back)));
}

/* RDX has the kernel's ucontext; its 136, 144, 160 and 168 are RDX, RAX, RSP and RIP as they were.
 * Functions are on the way only while its own stack is used. */
void rewound_signal(void);
__attribute__((naked, noinline, used)) void rewound_signal(void) {
    __asm__ volatile("mov %%rdx, %%rax\n"
                     "1: mov 168(%%rax), %%rcx\n"
                     "lea signal_entry(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "je 2f\n"
                     "lea rewound_signal(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jb 3f\n"
                     "lea rewound_signal_end(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jae 3f\n"
                     "2: mov 136(%%rax), %%rax\n"
                     "jmp 1b\n"
                     "3: lea arranging_low(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jb 6f\n"
                     "lea arranging_high(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jae 6f\n"
                     "lea trap_entry_process(%%rip), %%r9\n"
                     "jmp arranging_note\n"
                     "6: lea rewound_low(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jb trap_entry_process\n"
                     "lea rewound_high(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jae trap_entry_process\n"
                     "lea host_rewind_write(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jb 4f\n"
                     "lea host_rewind_sendto(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jb host_rewind_write\n"
                     "lea rewound_said(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jb 5f\n"
                     "lea rewound_end(%%rip), %%r8\n"
                     "cmp %%r8, %%rcx\n"
                     "jb rewound_said\n"
                     "4: mov 160(%%rax), %%rcx\n"
                     "movabs %[work], %%r8\n"
                     "sub %%r8, %%rcx\n"
                     "cmp %[size], %%rcx\n"
                     "ja trap_entry_process\n"
                     "jmp host_rewind_write\n"
                     "5: mov 144(%%rax), %%rax\n"
                     "jmp host_rewind_sendto\n"
                     "rewound_signal_end:\n" ::[work] "i"(REWOUND_WORK),
                     [size] "i"(REWOUND_WORK_SIZE));
}

#endif
