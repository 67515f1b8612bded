/*
 * A signal that ends a run of the vCPU: it is blocked but for those runs, so that it ends one and
 * is then taken from the queue, without a handler.
 */
#ifndef LIMPET_RUN_SIGNAL_H
#define LIMPET_RUN_SIGNAL_H

#include "kvm_abi.h"
#include "core/monitor.h"

/* For KVM_SET_SIGNAL_MASK: what is blocked while the vCPU runs. */
struct kvm_signal_mask {
    u32 length, set[2];
};

/* `signal` is the set of that one; it must last, as a constant does. */
static void end_runs_by(const u64 *signal, int vcpu) {
    u64 before = 0;
    host4(NR_RT_SIGPROCMASK, SIG_BLOCK, (long)signal, (long)&before, 8);
    const struct kvm_signal_mask mask = {8, {(u32)(before & ~*signal), (u32)(before >> 32)}};
    if (host3(NR_IOCTL, vcpu, KVM_SET_SIGNAL_MASK, (long)&mask) < 0)
        die(EXIT_CANNOT_START, "limpet: KVM refuses a mask of signals for its vCPU\n");
}

/* Whether it has come. */
static bool take_signal(const u64 *signal) {
    static const struct timespec at_once = {0, 0};
    return host4(NR_RT_SIGTIMEDWAIT, (long)signal, 0, (long)&at_once, 8) >= 0;
}

#endif
