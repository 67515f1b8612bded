/* What the files of the core know of each other. */
#ifndef LIMPET_CORE_H
#define LIMPET_CORE_H

#include "libos.h"

/* The program's registers while the library OS runs.  entry.S pushes and pops
 * them in this order. */
struct regs {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 rip, rsp, rflags;
};

#define RFLAGS_START 0x202UL /* bit 1 always, interrupts on: what Linux starts with */

/* Registers of the system call being served; NULL while the program runs. */
extern struct regs *current;

/* entry.S: where rewritten sites jump, with the flags dead, kept, or in r11. */
void syscall_entry(void);
void syscall_entry_flags(void);
void syscall_entry_r11(void);
void trap_entry_kvm(void);
void trap_entry_process(void);
_Noreturn void resume(const struct regs *regs); /* to the program, every register restored */
_Noreturn void serve_on_own_stack(const struct regs *regs);

/* Generated for each guest: only the system calls that it can make. */
long dispatch(long number, long a, long b, long c, long d, long e, long f);

/* An exception or fault signal, however it was delivered. */
struct fault {
    int signal;  /* SIG* */
    int code;    /* si_code */
    u64 address; /* si_addr */
    u64 vector;  /* of the processor exception */
    u64 error;   /* its error code */
};

/* trap.c */
_Noreturn void fault_taken(struct regs *regs, const struct fault *fault);

/* signals.c */
extern u64 signals_pending, signals_blocked;
void signals_deliver(struct regs *regs);
bool signal_delivery_failed(void); /* a fault came while a frame was being laid */
_Noreturn void signal_fault(struct regs *regs, const struct fault *fault);

/* crash.c */
_Noreturn void crash(int signal, const struct regs *regs, const char *what, const u64 *address);

#endif
