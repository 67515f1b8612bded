/* Faults of a jailed process: the host's signal frames, as traps of the program. */
#include "core/core.h"
#include "x86_64/signal_abi.h"

#define SYS_SECCOMP 1 /* si_code of a SIGSYS that the filter raised */
#define AUDIT_ARCH_X86_64 0xc000003eU

static void copy_registers(struct regs *to, const struct linux_sigcontext *from) {
    *to = (struct regs){
        .r15 = from->r15,
        .r14 = from->r14,
        .r13 = from->r13,
        .r12 = from->r12,
        .rbp = from->rbp,
        .rbx = from->rbx,
        .r11 = from->r11,
        .r10 = from->r10,
        .r9 = from->r9,
        .r8 = from->r8,
        .rax = from->rax,
        .rcx = from->rcx,
        .rdx = from->rdx,
        .rsi = from->rsi,
        .rdi = from->rdi,
        .rip = from->rip,
        .rsp = from->rsp,
        .rflags = from->rflags,
    };
}

_Noreturn void trap_process(const struct linux_ucontext *context);
_Noreturn void trap_process(const struct linux_ucontext *context) {
    /* The kernel lays siginfo directly behind the ucontext. */
    const struct linux_siginfo *info = &((const struct linux_sigframe *)((u64)context - 8))->info;
    struct regs regs;
    copy_registers(&regs, &context->regs);
    if (info->signal == SIGSYS && info->code == SYS_SECCOMP) {
        u32 arch = (u32)(info->rest[0] >> 32); /* si_arch follows si_syscall */
        if (arch == AUDIT_ARCH_X86_64 && !current)
            serve_on_own_stack(&regs);
        crash(SIGSYS, &regs, "made a system call of another architecture", NULL);
    }
    struct fault fault = {.signal = info->signal,
                          .code = info->code,
                          .address = info->address,
                          .vector = context->regs.vector,
                          .error = context->regs.error};
    fault_taken(&regs, &fault);
}
