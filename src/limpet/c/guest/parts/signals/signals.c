/* The system calls of signals; delivery is in core/signals.c. */
#include "core/signals.h"
#include "linux.h"

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
    if (action)
        signal_actions[number] = wanted;
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
    if (size > 8)
        return -EINVAL;
    u64 pending = current->pending & current->blocked;
    memcpy((void *)set, &pending, (size_t)size);
    return 0;
}

static long wait_for_signal(s64 deadline) {
    const struct waiting waits = {.deadline = deadline, .what = "a signal that nobody can send"};
    return park(&waits);
}

long sys_rt_sigsuspend(long set, long size) {
    if (size != 8)
        return -EINVAL;
    u64 before = current->blocked;
    signals_block(*(const u64 *)set);
    current->suspended_mask = before;
    current->suspended = true;
    return wait_for_signal(FOREVER);
}

long sys_pause(void) {
    return wait_for_signal(FOREVER);
}

static long wait_for_set(long timeout) {
    if (!timeout)
        return wait_for_signal(FOREVER);
    s64 time = time_to_wait((const struct linux_timespec *)timeout);
    if (time <= 0)
        return time ? -EINVAL : -EAGAIN;
    long woken = wait_for_signal(deadline_after(clock_monotonic(), time));
    return woken == -ETIMEDOUT ? -EAGAIN : woken;
}

long sys_rt_sigtimedwait(long set, long info, long timeout, long size) {
    if (size != 8)
        return -EINVAL;
    u64 ready = *(const u64 *)set & current->pending;
    if (!ready)
        return wait_for_set(timeout);
    int number = __builtin_ctzl(ready) + 1;
    if (info)
        *(struct linux_siginfo *)info = (struct linux_siginfo){.signal = number, .code = SI_TKILL};
    current->pending &= ~SIGNAL_BIT(number);
    return number;
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

#define OWN_ID 1 /* getpid and gettid in a guest */

static long send(long number) {
    if (number < 0 || number >= SIGNALS)
        return -EINVAL;
    if (number == SIGKILL)
        guest_exit(SIGNAL_STATUS + SIGKILL);
    if (number && number != SIGSTOP)
        signal_raise((int)number);
    return 0;
}

long sys_kill(long pid, long number) {
    if (pid > OWN_ID || pid < -OWN_ID)
        return -ESRCH;
    return send(number);
}

long sys_tkill(long thread, long number) {
    return thread == OWN_ID ? send(number) : -ESRCH;
}

long sys_tgkill(long group, long thread, long number) {
    return group == OWN_ID && thread == OWN_ID ? send(number) : -ESRCH;
}

long sys_rt_sigqueueinfo(long pid, long number, long info) {
    (void)info;
    return sys_kill(pid, number);
}

long sys_alarm(long seconds) {
    static long remembered;
    long before = remembered;
    remembered = seconds;
    return before;
}
