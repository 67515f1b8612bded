/*
 * What a monitor that goes back knows, in memory that no slot of the virtual machine has: the copy
 * of a page lies REWIND_COPIES behind the page.
 */
#ifndef LIMPET_REWIND_STATE_H
#define LIMPET_REWIND_STATE_H

#include "bytes.h"
#include "kvm_abi.h"

#define PAGE 4096UL

enum { REGISTERS_SIZE = 520 }; /* kvm_regs, kvm_sregs and kvm_vcpu_events, as kvm_run shares them */

struct rewinding {
    u8 vectors[PAGE];     /* struct kvm_xsave */
    struct rewind *block; /* of the guest's, through which it asked to be kept */
    u64 word;
    u64 takes; /* whoever started it hears the word */
    u64 asked; /* the guest has, just now */
    u64 kept;
    u64 often; /* pages that are copied each time though they were not written before */
    u8 registers[REGISTERS_SIZE];
};

#define REWINDING ((struct rewinding *)REWIND_AT)

#endif
