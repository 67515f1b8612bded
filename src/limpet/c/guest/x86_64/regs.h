/* The program's registers while the library OS runs, and what the neutral code asks of them. */
#ifndef LIMPET_REGS_H
#define LIMPET_REGS_H

#include "contract.h"

/* Those that are stored, by name: for everything that copies them one by one. */
#define REGISTERS(EACH)                                                                            \
    EACH(r15)                                                                                      \
    EACH(r14)                                                                                      \
    EACH(r13)                                                                                      \
    EACH(r12)                                                                                      \
    EACH(rbp)                                                                                      \
    EACH(rbx)                                                                                      \
    EACH(r11)                                                                                      \
    EACH(r10)                                                                                      \
    EACH(r9)                                                                                       \
    EACH(r8)                                                                                       \
    EACH(rax)                                                                                      \
    EACH(rcx)                                                                                      \
    EACH(rdx)                                                                                      \
    EACH(rsi)                                                                                      \
    EACH(rdi)                                                                                      \
    EACH(rip)                                                                                      \
    EACH(rsp)                                                                                      \
    EACH(rflags)

/* In the order in which entry.S pushes and pops them. */
struct regs {
#define MEMBER(name) u64 name;
    REGISTERS(MEMBER)
#undef MEMBER
};

#define RFLAGS_START 0x202UL /* bit 1 always, interrupts on: what Linux starts with */
#define RED_ZONE 128         /* bytes below the stack pointer that are the program's */

static inline s32 regs_call(const struct regs *regs) {
    return (s32)regs->rax; /* Linux looks at eax alone */
}

static inline void regs_set_result(struct regs *regs, long result) {
    regs->rax = (u64)result;
}

static inline long regs_result(const struct regs *regs) {
    return (long)regs->rax;
}

/* entry.S: where a system call comes in whose flags are kept. */
void syscall_entry_flags(void);

/* After a handler, the call `number` once more, which then goes on where it would have gone on. */
static inline void regs_call_again(struct regs *regs, long number) {
    regs->rax = (u64)number;
    regs->rcx = regs->rip;
    regs->rip = (u64)syscall_entry_flags;
}

static inline u64 regs_pc(const struct regs *regs) {
    return regs->rip;
}

static inline u64 regs_sp(const struct regs *regs) {
    return regs->rsp;
}

/* The arguments of a system call, in order. */
#define REGS_ARGUMENTS(regs)                                                                       \
    (long)(regs)->rdi, (long)(regs)->rsi, (long)(regs)->rdx, (long)(regs)->r10, (long)(regs)->r8,  \
        (long)(regs)->r9

static inline struct regs regs_at_start(u64 entry, u64 stack) {
    return (struct regs){.rip = entry, .rsp = stack, .rflags = RFLAGS_START};
}

#endif
