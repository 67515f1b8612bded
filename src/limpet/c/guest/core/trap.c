/* What a system call and a fault do, whichever way they came in. */
#include "core/core.h"
#include "linux.h"

struct regs *current;

bool syscall_serve(struct regs *regs);

/* Serve one system call.  True when registers other than rax have changed, so
 * that all of them must be restored. */
bool syscall_serve(struct regs *regs) {
    current = regs;
    s32 number = (s32)regs->rax; /* Linux looks at eax alone */
    regs->rax = (u64)dispatch(number, (long)regs->rdi, (long)regs->rsi, (long)regs->rdx,
                              (long)regs->r10, (long)regs->r8, (long)regs->r9);
    bool changed = current == NULL; /* rt_sigreturn replaced them */
    if (signals_pending & ~signals_blocked) {
        current = regs; /* writing a frame to a bad stack is a fault of this call */
        signals_deliver(regs);
        changed = true;
    }
    current = NULL;
    return changed;
}

static bool in_libos(u64 rip) {
    return rip >= guest_info.text_lo && rip < guest_info.text_hi;
}

/* A fault.  In a system call it can only be a bad pointer from the program: the
 * call ends with -EFAULT.  Elsewhere it is the program's own. */
_Noreturn void fault_taken(struct regs *regs, const struct fault *fault) {
    if (current && !signal_delivery_failed()) {
        struct regs *call = current;
        current = NULL;
        if (!in_libos(regs->rip))
            panic("the library OS left its own code");
        call->rax = (u64)-EFAULT;
        resume(call);
    }
    signal_fault(regs, fault);
}
