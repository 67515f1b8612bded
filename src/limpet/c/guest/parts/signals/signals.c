/* What a program does with signals that come; delivery is in core/signals.c. */
#include "core/signals.h"
#include "linux.h"

#define UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

/* A signal that comes to be ignored is not pending any more, blocked or not. */
static void forget(int number) {
    struct linux_siginfo info;
    while (signal_take(SIGNAL_BIT(number), &info))
        continue;
}

long sys_rt_sigaction(long number, long action, long old, long size) {
    if (size != 8 || number < 1 || number >= SIGNALS)
        return -EINVAL;
    if (action && (number == SIGKILL || number == SIGSTOP))
        return -EINVAL;
    struct linux_sigaction wanted = {0};
    if (action)
        wanted = *(const struct linux_sigaction *)action;
    if (old)
        *(struct linux_sigaction *)old = signal_actions[number];
    if (action) {
        wanted.mask &= ~UNBLOCKABLE;
        signal_actions[number] = wanted;
        signal_handlers_exist();
        if (signal_ignored((int)number))
            forget((int)number);
    }
    return 0;
}

enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };

long sys_rt_sigprocmask(long how, long set, long old, long size) {
    if (size != 8)
        return -EINVAL;
    u64 mask = current->blocked;
    if (set) {
        u64 wanted = *(const u64 *)set;
        if (how == SIG_BLOCK)
            mask |= wanted;
        else if (how == SIG_UNBLOCK)
            mask &= ~wanted;
        else if (how == SIG_SETMASK)
            mask = wanted;
        else
            return -EINVAL;
    }
    if (old)
        *(u64 *)old = current->blocked;
    signals_block(mask);
    return 0;
}

long sys_rt_sigreturn(void) {
    struct regs *regs = current->call;
    struct linux_stack stack;
    u64 mask;
    frame_leave(regs, &mask, &stack);
    signals_block(mask);
    current->signal_stack = stack;
    current->call = NULL; /* tells syscall_serve that every register has changed */
    return regs_result(regs);
}

long sys_rt_sigpending(long set, long size) {
    if ((u64)size > 8)
        return -EINVAL;
    u64 pending = (current->own.set | signals_of_all.set) & current->blocked;
    memcpy((void *)set, &pending, (size_t)size);
    return 0;
}

long sys_sigaltstack(long wanted, long old) {
    struct linux_stack stack = {0};
    bool inside = on_signal_stack(regs_sp(current->call));
    if (wanted) {
        stack = *(const struct linux_stack *)wanted;
        if (inside)
            return -EPERM;
        if (stack.flags & ~(SS_DISABLE | SS_ONSTACK))
            return -EINVAL;
        if (!(stack.flags & SS_DISABLE) && stack.size < MINSIGSTKSZ)
            return -ENOMEM;
    }
    if (old) {
        *(struct linux_stack *)old = current->signal_stack;
        if (inside)
            ((struct linux_stack *)old)->flags |= SS_ONSTACK;
    }
    if (stack.flags & SS_DISABLE)
        stack.sp = stack.size = 0;
    if (wanted)
        current->signal_stack = stack;
    return 0;
}
