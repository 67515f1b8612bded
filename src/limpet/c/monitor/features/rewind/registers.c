/* The virtual processor as it was kept: what kvm_run shares, and what it does not. */
struct kvm_run_shared {
    u64 valid, dirty;
    u8 registers[REGISTERS_SIZE];
};

#define SHARED ((struct kvm_run_shared *)(KVM_RUN_AT + 288))
#define IMMEDIATE_EXIT ((volatile u8 *)(KVM_RUN_AT + 1))

enum { SHARED_ALL = 7 }; /* KVM_SYNC_X86_REGS, SREGS, EVENTS */

/* What the exit has left to do is done, and all registers are told, without a step of the guest. */
static void end_exit(void) {
    u64 before = SHARED->valid;
    SHARED->valid = SHARED_ALL;
    *IMMEDIATE_EXIT = 1;
    long result = host3(NR_IOCTL, VCPU_FD, KVM_RUN, 0);
    *IMMEDIATE_EXIT = 0;
    SHARED->valid = before;
    if (result != -HOST_EINTR)
        die(EXIT_REFUSED, "limpet: KVM does not say which registers the guest has\n");
}

static void vectors(u32 request) {
    if (host3(NR_IOCTL, VCPU_FD, request, REWIND_AT) < 0)
        die(EXIT_REFUSED, "limpet: KVM refuses the guest's vector registers\n");
}

static void keep_registers(void) {
    memcpy(REWINDING->registers, SHARED->registers, REGISTERS_SIZE);
    vectors(KVM_GET_XSAVE);
}

static void bring_registers_back(void) {
    memcpy(SHARED->registers, REWINDING->registers, REGISTERS_SIZE);
    SHARED->dirty = SHARED_ALL; /* taken as the next run begins */
    vectors(KVM_SET_XSAVE);
}
