/* Delivery of signals to the one program: its own faults, and what it sends itself. */
#include "core/signals.h"

LARGE struct linux_sigaction signal_actions[SIGNALS];

void signal_raise(int number) {
    current->pending |= SIGNAL_BIT(number);
}

static bool ignored(int number) {
    u64 handler = signal_actions[number].handler;
    if (handler == SIG_IGN)
        return true;
    return handler == SIG_DFL &&
           (number == SIGCHLD || number == SIGCONT || number == SIGURG || number == SIGWINCH);
}

bool signal_pending(void) {
    u64 deliverable = current->pending & ~current->blocked;
    for (int number = 1; number < SIGNALS && deliverable >> (number - 1); number++)
        if ((deliverable & SIGNAL_BIT(number)) && !ignored(number))
            return true;
    return false;
}

bool on_signal_stack(u64 sp) {
    const struct linux_stack *stack = &current->signal_stack;
    return sp > stack->sp && sp - stack->sp <= stack->size;
}

static u64 stack_for(const struct linux_sigaction *action, u64 sp) {
    const struct linux_stack *stack = &current->signal_stack;
    bool alternate = action->flags & SA_ONSTACK && !(stack->flags & SS_DISABLE);
    return alternate && !on_signal_stack(sp) ? stack->sp + stack->size : sp - RED_ZONE;
}

void signals_block(u64 mask) {
    current->blocked = mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
}

static void enter_handler(struct regs *regs, const struct linux_siginfo *info,
                          const struct fault *fault) {
    int number = info->signal;
    struct linux_sigaction *action = &signal_actions[number];
    u64 mask = current->suspended ? current->suspended_mask : current->blocked;
    current->delivering = true;
    frame_lay(regs, stack_for(action, regs_sp(regs)), action, info, fault, mask);
    current->delivering = false;
    current->suspended = false;
    signals_block(current->blocked | action->mask |
                  (action->flags & SA_NODEFER ? 0 : SIGNAL_BIT(number)));
    if (action->flags & SA_RESETHAND)
        action->handler = SIG_DFL;
}

static _Noreturn void end_by(int number, const struct regs *regs) {
    switch (number) {
    case SIGQUIT:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGSYS:
        crash(number, regs, "raised it by itself", NULL);
    default: /* as quiet as a shell's child */
        guest_exit(SIGNAL_STATUS + (u32)number);
    }
}

void signals_deliver(struct regs *regs) {
    for (int number = 1; number < SIGNALS; number++) {
        if (!(current->pending & ~current->blocked & SIGNAL_BIT(number)))
            continue;
        current->pending &= ~SIGNAL_BIT(number);
        if (ignored(number))
            continue;
        if (signal_actions[number].handler == SIG_DFL)
            end_by(number, regs);
        struct linux_siginfo info = {.signal = number, .code = SI_TKILL};
        info.address = 1; /* si_pid 1, si_uid 0 */
        enter_handler(regs, &info, NULL);
    }
}

static const char *explain(const struct fault *fault) {
    if (fault->signal != SIGSEGV)
        return fault->signal == SIGILL ? "executed an invalid instruction" : "faulted";
    if (fault->code == SI_KERNEL)
        return "executed a privileged instruction or used a non-canonical address";
    if (fault->address >= guest_info.stack_lo - (64 << 10) && fault->address < guest_info.stack_lo)
        return "exhausted its stack";
    if (fault->access == ACCESS_EXECUTE)
        return "jumped to memory that is not executable";
    return fault->access == ACCESS_WRITE ? "wrote memory that it may not"
                                         : "read memory that it may not";
}

/* A fault of the program: to its handler, or the end. */
_Noreturn void signal_fault(struct regs *regs, const struct fault *fault) {
    int number = fault->signal;
    u64 handler = signal_actions[number].handler;
    bool address_known = number == SIGSEGV && fault->code != SI_KERNEL;
    if (handler == SIG_DFL || handler == SIG_IGN || current->blocked & SIGNAL_BIT(number) ||
        current->delivering)
        crash(number, regs, explain(fault), address_known ? &fault->address : NULL);
    struct linux_siginfo info = {.signal = number, .code = fault->code, .address = fault->address};
    enter_handler(regs, &info, fault);
    resume(regs);
}
