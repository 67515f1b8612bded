/* What a system call and a fault do, whichever way they came in. */
#include "core/thread.h"
#include "linux.h"

bool syscall_serve(struct regs *regs);

/* Serve one system call.  True when registers other than the result have changed, so
 * that all of them must be restored. */
bool syscall_serve(struct regs *regs) {
    struct thread *thread = current;
    thread->call = regs;
    regs_set_result(regs, dispatch(regs_call(regs), REGS_ARGUMENTS(regs)));
    bool changed = thread->call == NULL; /* rt_sigreturn replaced them */
    if (thread->pending & ~thread->blocked) {
        thread->call = regs; /* writing a frame to a bad stack is a fault of this call */
        signals_deliver(regs);
        changed = true;
    }
    thread->call = NULL;
    return changed;
}

static bool in_libos(u64 pc) {
    return pc >= guest_info.text_lo && pc < guest_info.text_hi;
}

/* A fault.  In a system call it can only be a bad pointer from the program: the
 * call ends with -EFAULT.  Elsewhere it is the program's own. */
_Noreturn void fault_taken(struct regs *regs, const struct fault *fault) {
    struct regs *call = current->call;
    if (call && !current->delivering) {
        current->call = NULL;
        if (!in_libos(regs_pc(regs)))
            panic("the library OS left its own code");
        regs_set_result(call, -EFAULT);
        resume(call);
    }
    signal_fault(regs, fault);
}
