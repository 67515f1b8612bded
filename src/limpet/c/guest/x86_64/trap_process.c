/* Faults of a jailed process: the host's signal frames, as traps of the program. */
#include "core/thread.h"
#include "core/tick.h"
#include "x86_64/frame.h"

#define SYS_SECCOMP 1 /* si_code of a SIGSYS that the filter raised */
#define AUDIT_ARCH_X86_64 0xc000003eU

_Noreturn void trap_process(const struct linux_ucontext *context);
_Noreturn void trap_process(const struct linux_ucontext *context) {
    /* The kernel lays siginfo directly behind the ucontext. */
    const struct linux_siginfo *info = &((const struct linux_sigframe *)((u64)context - 8))->info;
    struct regs regs;
    frame_registers(&regs, &context->regs);
    if (info->signal == SIGSYS && info->code == SYS_SECCOMP) {
        u32 arch = (u32)(info->rest[0] >> 32); /* si_arch follows si_syscall */
        if (arch == AUDIT_ARCH_X86_64 && !current->call)
            serve_on_own_stack(&regs);
        crash(SIGSYS, &regs, "made a system call of another architecture", NULL);
    }
    if (info->signal == TICK_SIGNAL && tick_taken)
        tick_taken(&regs, context);
    struct fault fault = {.signal = info->signal,
                          .code = info->code,
                          .address = info->address,
                          .access = page_fault_access(context->regs.error),
                          .vector = context->regs.vector,
                          .error = context->regs.error};
    fault_taken(&regs, &fault);
}
