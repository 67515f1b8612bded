/* Signal frames as Linux lays them (arch/x86/kernel/signal_64.c), vector registers included. */
#include "x86_64/frame.h"
#include "core/thread.h"

#define SYSCALL_SIZE 2
#define XSAVE_AVX_SIZE 832
#define XSAVE_AVX_STATES 7U /* x87, SSE and AVX */
#define TILES (3U << 17)    /* for which a thread has no room (switch.c) */

/* What the program itself may have found: in a virtual machine within another, CPUID can tell of
 * registers that the plan did not give, and they work. */
static u64 xsave_size(void) {
    static u64 size;
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
        if (boot_info.backend == BACKEND_KVM)
            size = MAX(size, guest_info.vector_state);
    }
    return size;
}

/* What an area has room for: XCR0 of a virtual machine within another can have more than the plan
 * gave it. */
static u32 states(void) {
    return xsave_size() > XSAVE_AVX_SIZE ? ~0U : XSAVE_AVX_STATES;
}

/* The vector registers are the program's all along: store them where they are. */
static void save_vectors(u64 at, u32 which) {
    if (xsave_size() > 512) {
        memset((void *)(at + 512), 0, 64); /* the header must start as zero */
        __asm__ volatile("xsave64 (%0)" ::"r"(at), "a"(which), "d"(-1) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" ::"r"(at) : "memory");
    }
}

u64 frame_vectors_size(void) {
    return xsave_size();
}

/* XSAVE writes all that it is asked for, also what is not in use. */
void frame_save_vectors(u64 at) {
    save_vectors(at, states() & ~TILES);
}

static void restore_vectors(u64 at) {
    if (!at)
        return;
    if (xsave_size() > 512)
        __asm__ volatile("xrstor64 (%0)" ::"r"(at), "a"(states()), "d"(-1) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(at) : "memory");
}

#define X87_START 0x37f
#define MXCSR_START 0x1f80U
#define ALL_BUT_KEYS (~0U & ~(1U << 9)) /* protection keys stay */

#define LARGEST_STATE 12288 /* of what processors have, with tiles */

/* As Linux starts a handler: nothing of the program's arithmetic, the usual rounding.  XRSTOR may
 * look at all of the area, whatever its header says, and behind a stack there may be nothing. */
static void clear_vectors(void) {
    static LARGE struct {
        u16 x87[12];
        u32 mxcsr;
        u8 rest[LARGEST_STATE - 28];
    } __attribute__((aligned(64))) start;
    u32 all = xsave_size() > sizeof start ? 7 : ALL_BUT_KEYS;
    start.x87[0] = X87_START, start.mxcsr = MXCSR_START;
    if (xsave_size() > 512)
        __asm__ volatile("xrstor64 %0" ::"m"(start), "a"(all), "d"(all == 7 ? 0 : -1));
    else
        __asm__ volatile("fxrstor64 %0" ::"m"(start));
}

#define COPY(name) to->name = from->name;

void frame_registers(struct regs *to, const struct linux_sigcontext *from) {
    REGISTERS(COPY)
}

static void fill(struct linux_sigcontext *to, const struct regs *from, const struct fault *fault) {
    *to = (struct linux_sigcontext){.cs = 0x33, .ss = 0x2b};
    REGISTERS(COPY)
    if (fault) {
        to->vector = fault->vector;
        to->error = fault->error;
        to->cr2 = fault->address;
    }
}

void frame_lay(struct regs *regs, u64 stack, const struct linux_sigaction *action,
               const struct linux_siginfo *info, const struct fault *fault, u64 mask) {
    u64 vectors = ALIGN_DOWN(stack - xsave_size(), 64);
    struct linux_sigframe *frame =
        (struct linux_sigframe *)(ALIGN_DOWN(vectors - sizeof *frame, 16) - 8);
    save_vectors(vectors, states());
    frame->return_address = action->restorer;
    frame->context.flags = xsave_size() > 512 ? UC_FP_XSTATE : 0;
    frame->context.link = 0;
    frame->context.stack = current->signal_stack;
    fill(&frame->context.regs, regs, fault);
    frame->context.regs.fpstate = vectors;
    if (regs->rip == (u64)syscall_entry_flags) /* seen where it was made, as Linux shows it */
        frame->context.regs.rip = frame->context.regs.reserved[0] = regs->rcx - SYSCALL_SIZE;
    frame->context.mask = mask;
    frame->info = *info;
    clear_vectors();
    regs->rdi = (u64)info->signal;
    regs->rsi = (u64)&frame->info;
    regs->rdx = (u64)&frame->context;
    regs->rax = 0;
    regs->rsp = (u64)frame;
    regs->rip = action->handler;
    regs->rflags = RFLAGS_START;
}

/* The frame lies just under the stack pointer: its handler has popped the return
 * address.  Everything in it may have been changed by the handler; all of it is the
 * program's own business. */
void frame_leave(struct regs *regs, u64 *mask, struct linux_stack *stack) {
    const struct linux_sigframe *frame = (const struct linux_sigframe *)(regs->rsp - 8);
    const struct linux_sigcontext from = frame->context.regs;
    *mask = frame->context.mask;
    *stack = frame->context.stack;
    restore_vectors(from.fpstate);
    frame_registers(regs, &from);
    regs->rflags = (from.rflags & 0xcd5) | RFLAGS_START;
    if (from.reserved[0] && from.rip == from.reserved[0]) /* a handler may lead elsewhere */
        regs->rip = (u64)syscall_entry_flags;
}
