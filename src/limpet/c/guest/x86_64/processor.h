/* What a processor can, as a program that asked it once goes on to believe. */
#ifndef LIMPET_PROCESSOR_H
#define LIMPET_PROCESSOR_H

#include "contract.h"

struct processor {
    u32 basic, low, high; /* CPUID.1:ECX, CPUID.7:EBX and ECX */
    u64 states;           /* XCR0: which registers the kernel keeps */
};

/* By CPUID, which a hypervisor answers: two exits. */
struct processor processor_now(void);
bool processor_has(const struct processor *all);

/* By running an instruction of each kind, and by the registers that the kernel keeps: false where
 * those are others.  At an instruction that this one does not know it does not return: `otherwise`
 * is called, with what it is `told`, and must not return either. */
bool processor_runs(const struct processor *all, void (*otherwise)(bool told), bool told);

#endif
