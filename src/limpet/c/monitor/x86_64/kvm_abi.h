/* The part of KVM's interface that monitors use (uapi linux/kvm.h). */
#ifndef LIMPET_KVM_ABI_H
#define LIMPET_KVM_ABI_H

#include "host.h"

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

/* What struct kvm_run shares of struct kvm_regs: told behind a run while it is valid, and taken as
 * one begins where it is dirty. */
enum { KVM_RUN_REGISTERS = 288, KVM_SYNC_REGISTERS = 1 };
struct kvm_run_registers {
    u64 valid, dirty, general[16], rip, rflags;
};

#endif
