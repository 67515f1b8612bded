/* Processor exceptions on kvm, as the faults that Linux makes of them. */
#include "core/thread.h"
#include "core/tick.h"
#include "x86_64/frame.h"

/* Intel SDM vol. 3, table 6-1; the signals are those of Linux's arch/x86 traps. */
enum vector {
    DIVIDE = 0,
    DEBUG = 1,
    BREAKPOINT = 3,
    INVALID_OPCODE = 6,
    STACK = 12,
    GENERAL = 13,
    PAGE_FAULT = 14,
    X87 = 16,
    ALIGNMENT = 17,
    SIMD = 19
};

static struct fault describe(const struct regs *regs) {
    struct fault fault = {.vector = trap_frame.vector, .error = trap_frame.error};
    fault.address = regs->rip;
    switch (trap_frame.vector) {
    case DIVIDE:
        fault.signal = SIGFPE, fault.code = FPE_INTDIV;
        break;
    case DEBUG:
        fault.signal = SIGTRAP, fault.code = TRAP_TRACE;
        break;
    case BREAKPOINT:
        fault.signal = SIGTRAP, fault.code = SI_KERNEL, fault.address = 0;
        break;
    case INVALID_OPCODE:
        fault.signal = SIGILL, fault.code = ILL_ILLOPN;
        break;
    case X87:
    case SIMD:
        fault.signal = SIGFPE, fault.code = FPE_FLTINV;
        break;
    case ALIGNMENT:
    case STACK:
        fault.signal = SIGBUS, fault.code = BUS_ADRALN, fault.address = 0;
        break;
    case PAGE_FAULT:
        fault.signal = SIGSEGV, fault.address = trap_frame.address;
        fault.code = trap_frame.error & 1 ? SEGV_ACCERR : SEGV_MAPERR;
        fault.access = page_fault_access(trap_frame.error);
        break;
    default: /* what Linux answers to #GP: no address */
        fault.signal = SIGSEGV, fault.code = SI_KERNEL, fault.address = 0;
    }
    return fault;
}

static bool is_syscall(u64 rip) {
    const u8 *code = (const u8 *)rip;
    return code[0] == 0x0f && code[1] == 0x05;
}

_Noreturn void trap_kvm(struct regs *regs);
_Noreturn void trap_kvm(struct regs *regs) {
    if (trap_frame.vector == TICK_VECTOR && tick_taken)
        tick_taken(regs, NULL);
    if (trap_frame.vector == INVALID_OPCODE && !current->call && is_syscall(regs->rip)) {
        regs->rip += 2; /* SYSCALL is off in EFER: a site that was not rewritten */
        regs->rcx = regs->rip;
        regs->r11 = regs->rflags;
        serve_on_own_stack(regs);
    }
    struct fault fault = describe(regs);
    fault_taken(regs, &fault);
}
