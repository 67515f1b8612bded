/* The bare minimum with KVM: one VM, one slot, one vCPU, one `out` from ring 3. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define BASE 0x10000000UL
enum { PAGE = 4096, SIZE = 16 * PAGE, PORT = 0x500 };

static void lay_out(char *memory) {
    unsigned long *tables = (unsigned long *)memory;
    tables[0] = (BASE + PAGE) | 7;
    tables[512] = (BASE + 2 * PAGE) | 7;
    tables[1024 + (BASE >> 21)] = BASE | 0xe7; /* one 2 MiB page */
    unsigned short *bitmap_at = (unsigned short *)(memory + 3 * PAGE + 102);
    *bitmap_at = 104;
    memset(memory + 3 * PAGE + 104, 0, 512);
    memcpy(memory + 4 * PAGE, "\x66\xba\x00\x05\xef", 5); /* mov $0x500, %dx; out %eax, %dx */
}

static void set_registers(int vcpu) {
    struct kvm_sregs special = {0};
    struct kvm_segment data = {0, ~0U, 0x1b, 3, 1, 3, 1, 1, 0, 1, 0, 0, 0};
    special.cs = (struct kvm_segment){0, ~0U, 0x23, 11, 1, 3, 0, 1, 1, 1, 0, 0, 0};
    special.ss = special.ds = special.es = special.fs = special.gs = data;
    special.tr = (struct kvm_segment){BASE + 3 * PAGE, 615, 0x28, 11, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    special.ldt.unusable = 1;
    special.cr0 = 0x80050033, special.cr3 = BASE, special.cr4 = 0x620, special.efer = 0xd00;
    special.apic_base = 0xfee00900;
    struct kvm_regs registers = {.rip = BASE + 4 * PAGE, .rflags = 2};
    ioctl(vcpu, KVM_SET_SREGS, &special);
    ioctl(vcpu, KVM_SET_REGS, &registers);
}

int main(void) {
    char *memory = mmap((void *)BASE, SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    lay_out(memory);
    int vm = ioctl(open("/dev/kvm", O_RDWR), KVM_CREATE_VM, 0);
    struct kvm_userspace_memory_region slot = {0, 0, BASE, SIZE, BASE};
    ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot);
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    struct kvm_run *run = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    set_registers(vcpu);
    return ioctl(vcpu, KVM_RUN, 0) || run->exit_reason != KVM_EXIT_IO || run->io.port != PORT;
}
