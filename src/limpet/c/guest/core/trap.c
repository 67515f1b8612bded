/* What a system call and a fault do, whichever way they came in. */
#include "core/alarm.h"
#include "core/signals.h"
#include "linux.h"

bool syscall_serve(struct regs *regs);

static RARE bool leave_by_signals(struct regs *regs, long again) {
    current->again = again;
    leave_to_program(regs);
    return true;
}

/* The call is done, and so are the files that it used: one of them may be closed. */
static RARE void look_aside(void) {
    bool turn = trap_frame.turn;
    current->uses = 0;
    trap_frame.turn = false;
    if (turn && scheduler)
        scheduler->run_another();
    alarms_look();
}

/* Serve one system call.  True when registers other than the result have changed, so
 * that all of them must be restored. */
bool syscall_serve(struct regs *regs) {
    struct thread *thread = current;
    long number = regs_call(regs);
    thread->call = regs;
    thread->uses = 0;
    long result = dispatch(number, REGS_ARGUMENTS(regs));
    regs_set_result(regs, result);
    if ((u64)(alarms.at | alarms.busy) | trap_frame.turn)
        look_aside();
    if (thread->kept[0])
        scheduler->call_ends();
    bool changed = thread->call == NULL; /* rt_sigreturn replaced them */
    bool interrupted = result == -ERESTARTSYS && !changed;
    if (((thread->own.set | signals_of_all.set) & ~thread->blocked) || interrupted ||
        thread->suspended)
        changed = leave_by_signals(regs, interrupted ? number + 1 : 0);
    thread->call = NULL;
    return changed;
}

void leave_to_program(struct regs *regs) {
    current->call = regs; /* writing a frame to a bad stack is a fault of this call */
    signals_deliver(regs);
    current->call = NULL;
}

static bool in_libos(u64 pc) {
    return pc >= guest_info.text_lo && pc < guest_info.text_hi;
}

/* A fault.  In a system call it can only be a bad pointer from the program: the
 * call ends with -EFAULT.  Elsewhere it is the program's own. */
_Noreturn void fault_taken(struct regs *regs, struct fault *fault) {
    if (guest_memory && guest_memory->fault(regs, fault))
        resume(regs);
    struct regs *call = current->call;
    if (current->ended)
        scheduler->end(0); /* from where it was */
    if (call && !current->delivering) {
        current->call = NULL;
        if (!in_libos(regs_pc(regs)))
            panic("the library OS left its own code");
        long result = current->settled ? *current->settled : -EFAULT;
        call_faults(call, result);
        regs_set_result(call, result);
        current->settled = NULL;
        if (current->kept[0])
            scheduler->call_ends();
        signals_after_wait(0);
        resume(call);
    }
    signal_fault(regs, fault);
}
