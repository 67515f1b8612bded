/* Signal numbers, codes and frames of the x86-64 Linux ABI (uapi asm/signal.h,
 * asm-generic/siginfo.h, asm/ucontext.h, asm/sigcontext.h). */
#ifndef LIMPET_SIGNAL_ABI_H
#define LIMPET_SIGNAL_ABI_H

#include "contract.h"

enum {
    SIGHUP = 1,
    SIGINT,
    SIGQUIT,
    SIGILL,
    SIGTRAP,
    SIGABRT,
    SIGBUS,
    SIGFPE,
    SIGKILL,
    SIGUSR1,
    SIGSEGV,
    SIGUSR2,
    SIGPIPE,
    SIGALRM,
    SIGTERM,
    SIGSTKFLT,
    SIGCHLD,
    SIGCONT,
    SIGSTOP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGXCPU,
    SIGXFSZ,
    SIGVTALRM,
    SIGPROF,
    SIGWINCH,
    SIGIO,
    SIGPWR,
    SIGSYS,
    SIGRTMIN, /* from here on each one that is sent is kept */
    SIGNALS = 65
};

enum {
    ILL_ILLOPN = 2,
    FPE_INTDIV = 1,
    FPE_FLTINV = 7,
    SEGV_MAPERR = 1,
    SEGV_ACCERR = 2,
    BUS_ADRALN = 1,
    BUS_ADRERR = 2,
    TRAP_TRACE = 2,
    SI_KERNEL = 0x80,
    SI_USER = 0,
    SI_QUEUE = -1,
    SI_TIMER = -2,
    SI_TKILL = -6
};

#define SA_SIGINFO 0x4UL
#define SA_RESTORER 0x04000000UL
#define SA_ONSTACK 0x08000000UL
#define SA_RESTART 0x10000000UL
#define SA_NODEFER 0x40000000UL
#define SA_RESETHAND 0x80000000UL
#define SIG_DFL 0UL
#define SIG_IGN 1UL
#define SS_ONSTACK 1U
#define SS_DISABLE 2U
#define UC_FP_XSTATE 1UL
#define MINSIGSTKSZ 2048UL

struct linux_sigaction {
    u64 handler, flags, restorer, mask;
};

struct linux_stack {
    u64 sp;
    u32 flags, pad;
    u64 size;
};

struct linux_sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    u16 cs, gs, fs, ss;
    u64 error, vector, old_mask, cr2, fpstate, reserved[8];
};

struct linux_ucontext {
    u64 flags, link;
    struct linux_stack stack;
    struct linux_sigcontext regs;
    u64 mask;
};

struct linux_siginfo {
    s32 signal, error, code, pad;
    union {
        u64 address; /* of a fault */
        s64 band;    /* of SIGIO: poll's events */
        struct {
            s32 pid; /* of who sent it */
            u32 uid;
        };
        struct {
            s32 timer, overrun;
        };
    };
    union {
        u64 value; /* sigval */
        s32 fd;    /* of SIGIO */
        u64 rest[13];
    };
};

struct linux_sigframe {
    u64 return_address;
    struct linux_ucontext context;
    struct linux_siginfo info;
};
_Static_assert(sizeof(struct linux_sigcontext) == 256, "struct sigcontext_64");
_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo_t");

#endif
