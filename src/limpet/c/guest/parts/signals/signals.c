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
    u64 mask = signals_blocked;
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
        *(u64 *)old = signals_blocked;
    signals_blocked = mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
    return 0;
}

/* The frame lies just under the stack pointer: its handler has popped the return
 * address.  Everything in it may have been changed by the handler; all of it is the
 * program's own business. */
long sys_rt_sigreturn(void) {
    struct regs *regs = current;
    const struct linux_sigframe *frame = (const struct linux_sigframe *)(regs->rsp - 8);
    const struct linux_sigcontext from = frame->context.regs;
    u64 mask = frame->context.mask;
    struct linux_stack stack = frame->context.stack;
    signal_restore_vectors(from.fpstate);
    *regs = (struct regs){
        .r15 = from.r15,
        .r14 = from.r14,
        .r13 = from.r13,
        .r12 = from.r12,
        .rbp = from.rbp,
        .rbx = from.rbx,
        .r11 = from.r11,
        .r10 = from.r10,
        .r9 = from.r9,
        .r8 = from.r8,
        .rax = from.rax,
        .rcx = from.rcx,
        .rdx = from.rdx,
        .rsi = from.rsi,
        .rdi = from.rdi,
        .rip = from.rip,
        .rsp = from.rsp,
        .rflags = (from.rflags & 0xcd5) | RFLAGS_START,
    };
    signals_blocked = mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
    signal_stack = stack;
    current = NULL; /* tells syscall_serve that every register has changed */
    return (long)from.rax;
}

long sys_rt_sigpending(long set, long size) {
    if (size > 8)
        return -EINVAL;
    u64 pending = signals_pending & signals_blocked;
    memcpy((void *)set, &pending, (size_t)size);
    return 0;
}

static long sleep_for_signal(void) {
    if (!signal_pending()) {
        say("limpet: the guest waits for a signal that nobody can send\n");
        guest_exit(128 + SIGKILL);
    }
    return -EINTR;
}

long sys_rt_sigsuspend(long set, long size) {
    if (size != 8)
        return -EINVAL;
    u64 before = signals_blocked;
    signals_blocked = *(const u64 *)set & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
    signals_suspended_mask = before;
    signals_suspended = true;
    return sleep_for_signal();
}

long sys_pause(void) {
    return sleep_for_signal();
}

long sys_rt_sigtimedwait(long set, long info, long timeout, long size) {
    if (size != 8)
        return -EINVAL;
    u64 ready = *(const u64 *)set & signals_pending;
    if (!ready) {
        if (!timeout)
            return sleep_for_signal();
        s64 time = time_to_wait((const struct linux_timespec *)timeout);
        if (time < 0)
            return -EINVAL;
        if (time) {
            struct wait block = {.deadline = (s64)clock_monotonic() + time};
            hypercall_wait(&block);
        }
        return -EAGAIN;
    }
    int number = __builtin_ctzl(ready) + 1;
    if (info)
        *(struct linux_siginfo *)info = (struct linux_siginfo){.signal = number, .code = SI_TKILL};
    signals_pending &= ~SIGNAL_BIT(number);
    return number;
}

long sys_sigaltstack(long wanted, long old) {
    struct linux_stack stack = {0};
    bool inside =
        current->rsp > signal_stack.sp && current->rsp - signal_stack.sp <= signal_stack.size;
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
        *(struct linux_stack *)old = signal_stack;
        if (inside)
            ((struct linux_stack *)old)->flags |= SS_ONSTACK;
    }
    if (wanted) {
        signal_stack = stack;
        if (stack.flags & SS_DISABLE)
            signal_stack.sp = signal_stack.size = 0;
    }
    return 0;
}

#define OWN_ID 1 /* getpid and gettid in a guest */

static long send(long number) {
    if (number < 0 || number >= SIGNALS)
        return -EINVAL;
    if (number == SIGKILL)
        guest_exit(128 + SIGKILL);
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

long sys_setitimer(long which, long value, long old) {
    (void)which, (void)value, (void)old;
    return -ENOSYS;
}
