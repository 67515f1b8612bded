/* What the library OS asks of the processor itself, and what the program is told of it. */
#ifndef LIMPET_MACHINE_H
#define LIMPET_MACHINE_H

#include "contract.h"

#define MACHINE "x86_64"
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
