/* A handler is entered.  A program that installs none has nothing of this. */
#include "core/signals.h"
#include "linux.h"

bool on_signal_stack(u64 sp) {
    const struct linux_stack *stack = &current->signal_stack;
    return sp > stack->sp && sp - stack->sp <= stack->size;
}

static u64 stack_for(const struct linux_sigaction *action, u64 sp) {
    const struct linux_stack *stack = &current->signal_stack;
    bool alternate = action->flags & SA_ONSTACK && !(stack->flags & SS_DISABLE);
    return alternate && !on_signal_stack(sp) ? stack->sp + stack->size : sp - RED_ZONE;
}

/* The call that was interrupted, when a handler with `flags` runs: again afterwards, or EINTR. */
static void settle_call(struct regs *regs, u64 flags) {
    if (current->again && flags & SA_RESTART)
        regs_call_again(regs, current->again - 1);
    else if (current->again)
        regs_set_result(regs, -EINTR);
    current->again = 0;
}

static void enter(struct regs *regs, const struct linux_siginfo *info, const struct fault *fault) {
    int number = info->signal;
    struct linux_sigaction *action = &signal_actions[number];
    u64 mask = current->suspended ? current->suspended_mask : current->blocked;
    settle_call(regs, action->flags);
    current->delivering = true;
    frame_lay(regs, stack_for(action, regs_sp(regs)), action, info, fault, mask);
    current->delivering = false;
    current->suspended = false;
    signals_block(current->blocked | action->mask |
                  (action->flags & SA_NODEFER ? 0 : SIGNAL_BIT(number)));
    if (action->flags & SA_RESETHAND)
        action->handler = SIG_DFL;
}

void signal_handlers_exist(void) {
    signal_enter = enter;
}
