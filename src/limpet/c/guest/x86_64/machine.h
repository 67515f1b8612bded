/* What the library OS asks of the processor itself, and what the program is told of it. */
#ifndef LIMPET_MACHINE_H
#define LIMPET_MACHINE_H

#include "contract.h"

#define MACHINE "x86_64"
#define PROCESSOR_TEXT                                                                             \
    "processor\t: 0\nvendor_id\t: Limpet\ncpu family\t: 6\nmodel\t\t: 1\n"                         \
    "model name\t: Limpet\nstepping\t: 0\n"
#define PROCESSOR_REST                                                                             \
    "\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\napicid\t\t: 0\nfpu\t\t: "  \
    "yes\n"                                                                                        \
    "fpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\nflags\t\t: fpu tsc msr pae cx8 cmov "   \
    "clflush mmx fxsr sse sse2 syscall nx lm constant_tsc nopl nonstop_tsc fsgsbase\n"             \
    "clflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 36 bits physical, 48 bits "       \
    "virtual\n\n"
#define HWCAP2 2UL /* FSGSBASE: ring 3 may set its own bases */

static inline u64 ticks(void) {
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

/* high:low / by, without the compiler's 128-bit division; high < by. */
static inline u64 divide_wide(u64 high, u64 low, u64 by) {
    u64 quotient, rest;
    __asm__("divq %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(high), "r"(by));
    return quotient;
}

#endif
