/* What a processor can, as a program that asked it once goes on to believe. */
#ifndef LIMPET_PROCESSOR_H
#define LIMPET_PROCESSOR_H

#include "contract.h"

struct processor {
    u32 basic, low, high; /* CPUID.1:ECX, CPUID.7:EBX and ECX */
    u64 states;           /* XCR0: which registers the kernel keeps */
};

struct processor processor_now(void);
bool processor_has(const struct processor *all);

#endif
