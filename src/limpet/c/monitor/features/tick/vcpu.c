/*
 * On kvm the signal of a tick is blocked but for the runs of the vCPU: it ends one, and is taken
 * from the queue.  The guest learns of it as of a fault: the frame of one is filled in, and it goes
 * on where faults lead to.  Only ring 3 is led there: code of ring 0 lies behind GUEST_HI, and what
 * the library OS does is not interrupted: it is told, and another tick is to meet the program.
 */
#include "core/run_signal.h"

static const u64 tick_signal = 1UL << (TICK_SIGNAL - 1);

static void ticks_end_runs(int vcpu) {
    end_runs_by(&tick_signal, vcpu);
    ((struct kvm_run_registers *)(KVM_RUN_AT + KVM_RUN_REGISTERS))->valid = KVM_SYNC_REGISTERS;
}

static void take_tick(void) {
    struct kvm_run_registers *shared = (struct kvm_run_registers *)(KVM_RUN_AT + KVM_RUN_REGISTERS);
    struct trap_frame *frame = (struct trap_frame *)TRAP_FRAME;
    if (!take_signal(&tick_signal))
        return;
    u64 rip = shared->rip;
    if (rip < GUEST_LO || rip >= GUEST_HI || (rip >= TEXT_LO && rip < TEXT_HI)) {
        frame->turn = true;
        memory_filled((u64)&frame->turn, sizeof frame->turn);
        host3(NR_SETITIMER, TICK_CLOCK, TICK_TIMER, 0);
        return;
    }
    *frame = (struct trap_frame){
        .vector = TICK_VECTOR, .rip = rip, .rflags = shared->rflags, .rsp = shared->general[6]};
    memory_filled(TRAP_FRAME, sizeof *frame);
    shared->rip = TRAP_ENTRY_KVM;
    shared->rflags = 2;
    shared->dirty = KVM_SYNC_REGISTERS;
}

/* One that is on its way, or there already, is of the guest as it was. */
static inline void forget_tick(void) {
    static const u64 never[4];
    host3(NR_SETITIMER, TICK_CLOCK, (long)never, 0);
    while (take_signal(&tick_signal))
        ;
}
