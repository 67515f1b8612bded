/*
 * The kvm backend: one virtual machine, one vCPU, one memory slot.
 *
 * Trusted: KVM and this file.  The guest is hostile: all it can do here is `out` to a
 * port that the TSS opens, with the address of an argument block.  Everything the
 * vCPU starts with is a constant of the plan.
 */
#include "kvm_abi.h"
#include "core/monitor.h"

/* A monitor has no writable data of its own: nothing there to attack. */
#define RUN ((const u8 *)KVM_RUN_AT) /* struct kvm_run, shared with the kernel */

static long kvm(int fd, u32 request, u64 argument) {
    long result = host3(NR_IOCTL, fd, request, (long)argument);
    if (result < 0)
        die(EXIT_CANNOT_START, "limpet: KVM refused to set up the virtual machine: run "
                               "`limpet doctor`, or build with --backend process\n");
    return result;
}

static int open_kvm(void) {
    return (int)host4(NR_OPENAT, AT_FDCWD, (long)"/dev/kvm", O_RDWR | O_CLOEXEC, 0);
}

/* A vCPU without a local APIC makes the host patch its own code when the first such vCPU
 * comes and again when the last one goes: a fifth of a short life.  The guest cannot reach
 * the APIC: its registers are at an address that no page table of the plan maps, or are
 * model-specific ones, for ring 0.  A host that refuses is only slower. */
static void give_local_apic(int vm) {
    static const struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP};
    host3(NR_IOCTL, vm, KVM_ENABLE_CAP, (long)&split);
}

/* In the page that is shared with KVM, which is zero, and whose registers the first run takes: a
 * request to a vCPU is 5 us where the host is a virtual machine itself. */
static void start_at(u64 rip) {
    struct kvm_run_registers *shared = (struct kvm_run_registers *)(KVM_RUN_AT + KVM_RUN_REGISTERS);
    shared->rip = rip;
    shared->rflags = 2;
    shared->dirty = KVM_SYNC_REGISTERS;
}

/* So the virtual machine is asked; before Linux 5.19 only a vCPU says it. */
static long tsc_khz(int vm, int vcpu) {
    long khz = host3(NR_IOCTL, vm, KVM_GET_TSC_KHZ, 0);
    return khz > 0 ? khz : host3(NR_IOCTL, vcpu, KVM_GET_TSC_KHZ, 0);
}

/* Everything behind the standard descriptors has been closed, so /dev/kvm is KVM_FD and the
 * two after it follow; the filter knows VCPU_FD. */
static void set_up(void) {
    int vm = (int)kvm(KVM_FD, KVM_CREATE_VM, 0);
    if (SLOT_HI <= LOCAL_APIC)
        give_local_apic(vm);
    /* Each first touch of a page is an exit; small guests never come this far. */
    if (HUGE_LO < HUGE_HI)
        host3(NR_MADVISE, (long)HUGE_LO, (long)(HUGE_HI - HUGE_LO), MADV_HUGEPAGE);
    const struct kvm_memory_region slot = {0, 0, SLOT_LO, SLOT_HI - SLOT_LO, SLOT_LO};
    kvm(vm, KVM_SET_USER_MEMORY_REGION, (u64)&slot);
    int vcpu = (int)kvm(vm, KVM_CREATE_VCPU, 0);
    long mapped = host6(NR_MMAP, (long)KVM_RUN_AT, KVM_RUN_SIZE, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED_NOREPLACE, vcpu, 0);
    if (vcpu != VCPU_FD || mapped != (long)KVM_RUN_AT)
        die(EXIT_CANNOT_START, "limpet: KVM gave an unexpected vCPU\n");
    kvm(vcpu, KVM_SET_CPUID2, KVM_CPUID);
    kvm(vcpu, KVM_SET_SREGS, KVM_SREGS);
    if (kvm(vcpu, KVM_SET_MSRS, KVM_MSRS) != 1)
        die(EXIT_CANNOT_START, "limpet: KVM refused a model-specific register\n");
    start_at(*(const u64 *)KVM_START);
    vcpu_made(vcpu);
    vcpu_ready(tsc_khz(vm, vcpu));
}

static void lock_up(void) {
    static const struct {
        u64 length, program;
    } filter = {FILTER_KVM_LENGTH, FILTER_KVM_AT};
    host3(NR_CLOSE_RANGE, KVM_FD, VCPU_FD - 1, 0);
    raise_walls(SCOPES);
    if (host3(NR_SECCOMP, SECCOMP_SET_MODE_FILTER, 0, (long)&filter) != 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses the system call filter\n");
}

static void serve_exit_of_vcpu(void) {
    const struct kvm_run_head *head = (const struct kvm_run_head *)RUN;
    switch (head->exit_reason) {
    case KVM_EXIT_IO:
        if (head->direction != KVM_EXIT_IO_OUT || head->size != 4 || head->count != 1 ||
            head->data_offset > KVM_RUN_SIZE - 4)
            refuse("limpet: the guest used a hypercall port with the wrong width\n");
        serve(head->port, *(const u32 *)(RUN + head->data_offset));
        exit_served();
        return;
    case KVM_EXIT_SHUTDOWN:
        refuse("limpet: the guest destroyed its own processor state (triple fault), "
               "backend kvm\n");
    case KVM_EXIT_MMIO:
        refuse("limpet: the guest used memory that does not exist, backend kvm\n");
    default:
        refuse("limpet: KVM stopped the guest (internal error or unknown exit), backend kvm\n");
    }
}

static _Noreturn void run_kvm(void) {
    set_up();
    lock_up();
    for (;;) {
        long result = host3(NR_IOCTL, VCPU_FD, KVM_RUN, 0);
        run_ended();
        if (result == 0)
            serve_exit_of_vcpu();
        else if (result == -HOST_EINTR)
            run_interrupted();
        else if (result != -HOST_EAGAIN)
            refuse("limpet: KVM cannot go on with the guest (KVM_RUN failed), backend kvm\n");
    }
}
