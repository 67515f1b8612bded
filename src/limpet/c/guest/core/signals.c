/* Delivery of signals to the one program: its own faults, and what it sends itself. */
#include "core/signals.h"

u64 signals_pending, signals_blocked;
LARGE struct linux_sigaction signal_actions[SIGNALS];
struct linux_stack signal_stack = {.flags = SS_DISABLE};
static bool delivering;

/* While rt_sigsuspend waits: the mask that its handler's frame must bring back. */
u64 signals_suspended_mask;
bool signals_suspended;

LARGE static struct linux_siginfo pending_info[SIGNALS];

void signal_raise(int number) {
    pending_info[number] = (struct linux_siginfo){.signal = number, .code = SI_TKILL};
    pending_info[number].address = 1; /* si_pid 1, si_uid 0 */
    signals_pending |= SIGNAL_BIT(number);
}

static bool ignored(int number) {
    u64 handler = signal_actions[number].handler;
    if (handler == SIG_IGN)
        return true;
    return handler == SIG_DFL &&
           (number == SIGCHLD || number == SIGCONT || number == SIGURG || number == SIGWINCH);
}

bool signal_pending(void) {
    u64 deliverable = signals_pending & ~signals_blocked;
    for (int number = 1; number < SIGNALS && deliverable >> (number - 1); number++)
        if ((deliverable & SIGNAL_BIT(number)) && !ignored(number))
            return true;
    return false;
}

static u64 xsave_size(void) {
    static u64 size;
    if (boot_info.backend == BACKEND_KVM)
        return guest_info.vector_state;
    if (!size) {
        u32 a = 1, b, c = 0, d;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        if (c & (1U << 27)) { /* OSXSAVE */
            a = 0xd, c = 0;
            __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
            size = b;
        } else {
            size = 512;
        }
    }
    return size;
}

/* The vector registers are the program's all along: store them where they are. */
static void save_vectors(u64 at) {
    if (xsave_size() > 512) {
        memset((void *)(at + 512), 0, 64); /* the header must start as zero */
        __asm__ volatile("xsave64 (%0)" ::"r"(at), "a"(-1), "d"(-1) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" ::"r"(at) : "memory");
    }
}

void signal_restore_vectors(u64 at) {
    if (!at)
        return;
    if (xsave_size() > 512)
        __asm__ volatile("xrstor64 (%0)" ::"r"(at), "a"(-1), "d"(-1) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(at) : "memory");
}

static bool on_signal_stack(u64 rsp) {
    return rsp > signal_stack.sp && rsp - signal_stack.sp <= signal_stack.size;
}

static u64 stack_for(const struct linux_sigaction *action, u64 rsp) {
    bool alternate = action->flags & SA_ONSTACK && !(signal_stack.flags & SS_DISABLE);
    if (alternate && !on_signal_stack(rsp))
        return signal_stack.sp + signal_stack.size;
    return rsp - 128; /* the red zone */
}

static void fill_context(struct linux_sigcontext *to, const struct regs *from) {
    *to = (struct linux_sigcontext){
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
        .cs = 0x33,
        .ss = 0x2b,
    };
}

/* Lay the frame that Linux would lay and point the registers at the handler. */
static void enter_handler(struct regs *regs, const struct linux_siginfo *info,
                          const struct fault *fault) {
    int number = info->signal;
    struct linux_sigaction *action = &signal_actions[number];
    u64 vectors = ALIGN_DOWN(stack_for(action, regs->rsp) - xsave_size(), 64);
    struct linux_sigframe *frame =
        (struct linux_sigframe *)(ALIGN_DOWN(vectors - sizeof *frame, 16) - 8);
    delivering = true;
    save_vectors(vectors);
    frame->return_address = action->restorer;
    frame->context.flags = xsave_size() > 512 ? UC_FP_XSTATE : 0;
    frame->context.link = 0;
    frame->context.stack = signal_stack;
    fill_context(&frame->context.regs, regs);
    frame->context.regs.fpstate = vectors;
    if (fault) {
        frame->context.regs.vector = fault->vector;
        frame->context.regs.error = fault->error;
        frame->context.regs.cr2 = fault->address;
    }
    frame->context.mask = signals_suspended ? signals_suspended_mask : signals_blocked;
    signals_suspended = false;
    frame->info = *info;
    delivering = false;
    signals_blocked |= action->mask | (action->flags & SA_NODEFER ? 0 : SIGNAL_BIT(number));
    signals_blocked &= ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
    regs->rdi = (u64)number;
    regs->rsi = (u64)&frame->info;
    regs->rdx = (u64)&frame->context;
    regs->rax = 0;
    regs->rsp = (u64)frame;
    regs->rip = action->handler;
    regs->rflags = RFLAGS_START;
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
        guest_exit(128 + (u32)number);
    }
}

void signals_deliver(struct regs *regs) {
    for (int number = 1; number < SIGNALS; number++) {
        if (!(signals_pending & ~signals_blocked & SIGNAL_BIT(number)))
            continue;
        signals_pending &= ~SIGNAL_BIT(number);
        if (ignored(number))
            continue;
        if (signal_actions[number].handler == SIG_DFL)
            end_by(number, regs);
        enter_handler(regs, &pending_info[number], NULL);
    }
}

static const char *explain(const struct fault *fault) {
    if (fault->signal != SIGSEGV)
        return fault->signal == SIGILL ? "executed an invalid instruction" : "faulted";
    if (fault->code == SI_KERNEL)
        return "executed a privileged instruction or used a non-canonical address";
    if (fault->address >= guest_info.stack_lo - (64 << 10) && fault->address < guest_info.stack_lo)
        return "exhausted its stack";
    if (fault->error & 0x10)
        return "jumped to memory that is not executable";
    return fault->error & 2 ? "wrote memory that it may not" : "read memory that it may not";
}

/* A fault of the program: to its handler, or the end. */
_Noreturn void signal_fault(struct regs *regs, const struct fault *fault) {
    int number = fault->signal;
    u64 handler = signal_actions[number].handler;
    bool address_known = number == SIGSEGV && fault->code != SI_KERNEL;
    if (handler == SIG_DFL || handler == SIG_IGN || signals_blocked & SIGNAL_BIT(number) ||
        delivering)
        crash(number, regs, explain(fault), address_known ? &fault->address : NULL);
    struct linux_siginfo info = {.signal = number, .code = fault->code, .address = fault->address};
    enter_handler(regs, &info, fault);
    resume(regs);
}

bool signal_delivery_failed(void) {
    return delivering;
}
