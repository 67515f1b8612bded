/* The part of KVM's interface that monitors use (uapi linux/kvm.h). */
#ifndef LIMPET_KVM_ABI_H
#define LIMPET_KVM_ABI_H

#include "contract.h"

#define KVM_CREATE_VM 0xae01U
#define KVM_CREATE_VCPU 0xae41U
#define KVM_RUN 0xae80U
#define KVM_ENABLE_CAP 0x4068aea3U
#define KVM_SET_USER_MEMORY_REGION 0x4020ae46U
#define KVM_SET_REGS 0x4090ae82U
#define KVM_SET_SREGS 0x4138ae84U
#define KVM_SET_MSRS 0x4008ae89U
#define KVM_SET_CPUID2 0x4008ae90U
#define KVM_SET_XCRS 0x4188aea7U
#define KVM_GET_TSC_KHZ 0xaea3U

enum { KVM_EXIT_IO = 2, KVM_EXIT_MMIO = 6, KVM_EXIT_SHUTDOWN = 8, KVM_EXIT_IO_OUT = 1 };

struct kvm_memory_region {
    u32 slot, flags;
    u64 guest_address, size, host_address;
};

enum { KVM_CAP_SPLIT_IRQCHIP = 121 };

struct kvm_enable_cap {
    u32 cap, flags;
    u64 arguments[4];
    u8 padding[64];
};
_Static_assert(sizeof(struct kvm_enable_cap) == 104, "struct kvm_enable_cap");

/* struct kvm_run as far as an I/O exit goes. */
struct kvm_run_head {
    u8 request_interrupt_window, immediate_exit, padding[6];
    u32 exit_reason;
    u8 ready_for_interrupt_injection, if_flag;
    u16 flags;
    u64 cr8, apic_base;
    u8 direction, size;
    u16 port;
    u32 count;
    u64 data_offset;
};
_Static_assert(__builtin_offsetof(struct kvm_run_head, data_offset) == 40, "struct kvm_run");

#endif
