/* Delivery of signals to the program: its own faults, its timers, and what it sends itself. */
#include "core/signals.h"
#include "linux.h"

LARGE struct linux_sigaction signal_actions[SIGNALS];

struct pending signals_of_all;
void (*signals_watched)(int number);
void (*signal_enter)(struct regs *, const struct linux_siginfo *, const struct fault *);

#define SYNCHRONOUS                                                                                \
    (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) |         \
     SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))
#define OWN_ID 1

bool signal_ignored(int number) {
    u64 handler = signal_actions[number].handler;
    if (handler == SIG_IGN)
        return true;
    return handler == SIG_DFL &&
           (number == SIGCHLD || number == SIGCONT || number == SIGURG || number == SIGWINCH);
}

/* Out of the queue, and out of the set unless there is another with that number. */
static struct queued *unqueue(struct pending *from, int number) {
    struct queued *before = NULL, *found = from->first, *more;
    while (found && found->info.signal != number)
        before = found, found = found->next;
    for (more = found ? found->next : NULL; more && more->info.signal != number;)
        more = more->next;
    if (!more)
        from->set &= ~SIGNAL_BIT(number);
    if (found && before)
        before->next = found->next;
    else if (found)
        from->first = found->next;
    return found;
}

/* Apart, so that what it calls is told from the operations of files (tests/support/reach.py). */
static __attribute__((noinline)) bool counts(struct queued *found, struct linux_siginfo *info) {
    *info = found->info;
    return found->taken(found, info);
}

int signal_take(u64 set, struct linux_siginfo *info) {
    for (;;) {
        struct pending *from = current->own.set & set ? &current->own : &signals_of_all;
        u64 ready = from->set & set;
        if (!ready)
            return 0;
        int number = __builtin_ctzl(ready & SYNCHRONOUS ? ready & SYNCHRONOUS : ready) + 1;
        struct queued *found = unqueue(from, number);
        *info = (struct linux_siginfo){.signal = number, .code = SI_USER, .pid = OWN_ID};
        if (!found || counts(found, info))
            return number;
    }
}

static bool ends_wait(const struct thread *thread, int number) {
    u64 bit = SIGNAL_BIT(number);
    return thread->awaited & bit || !(thread->blocked & bit);
}

/* Any thread that waits and may take it; the one that runs will see it by itself. */
static void wake_one(struct thread *only, int number) {
    for (struct thread *each = threads; each; each = each->next)
        if ((!only || each == only) && each->state == THREAD_PARKED && ends_wait(each, number)) {
            thread_wake(each, each->waits->restarts ? -ERESTARTSYS : -EINTR);
            return;
        }
}

bool signal_send(struct thread *to, int number, struct queued *queued) {
    struct pending *pending = to ? &to->own : &signals_of_all;
    u64 bit = SIGNAL_BIT(number);
    if (signal_ignored(number) && !((to ? to : current)->blocked & bit))
        return false;
    bool added = queued && (queued->always || number >= SIGRTMIN || !(pending->set & bit));
    pending->set |= bit;
    if (added) {
        struct queued *last = pending->first;
        while (last && last->next)
            last = last->next;
        queued->next = NULL;
        if (last)
            last->next = queued;
        else
            pending->first = queued;
    }
    wake_one(to, number);
    if (signals_watched)
        signals_watched(number);
    return added;
}

void signal_raise(int number) {
    signal_send(current, number, NULL);
}

bool signal_pending(void) {
    u64 pending = current->own.set | signals_of_all.set;
    if (pending & current->awaited)
        return true;
    u64 deliverable = pending & ~current->blocked;
    for (int number = 1; number < SIGNALS && deliverable >> (number - 1); number++)
        if ((deliverable & SIGNAL_BIT(number)) && !signal_ignored(number))
            return true;
    return false;
}

void signals_block(u64 mask) {
    current->blocked = mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
}

void signals_block_for_wait(u64 mask) {
    current->suspended_mask = current->blocked;
    current->suspended = true;
    signals_block(mask);
}

long signals_after_wait(long result) {
    if (current->suspended && result != -EINTR) { /* else a handler brings it back */
        current->blocked = current->suspended_mask;
        current->suspended = false;
    }
    return result;
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
    struct linux_siginfo info;
    for (int number; (number = signal_take(~current->blocked, &info));) {
        if (signal_ignored(number))
            continue;
        signal_told(&info);
        if (signal_actions[number].handler == SIG_DFL)
            end_by(number, regs);
        signal_enter(regs, &info, NULL);
    }
    if (current->again) /* nobody heard of it */
        regs_call_again(regs, current->again - 1);
    current->again = 0;
    signals_after_wait(0);
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
    struct linux_siginfo info = {.signal = number, .code = fault->code, .address = fault->address};
    signal_told(&info);
    if (handler == SIG_DFL || handler == SIG_IGN || current->blocked & SIGNAL_BIT(number) ||
        current->delivering)
        crash(number, regs, explain(fault), address_known ? &fault->address : NULL);
    signal_enter(regs, &info, fault);
    resume(regs);
}
