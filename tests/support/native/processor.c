/* Instructions of each kind, run in this process: one that its processor does not know ends it. */
#include "native.h"
#include "x86_64/processor.c"

static struct thread this;
struct thread *current = &this;

static _Noreturn void otherwise(bool told) {
    (void)told;
    __builtin_trap();
}

EXPORT(bool, runs, u32 basic, u32 low, u32 high, u64 states) {
    const struct processor all = {basic, low, high, states ? states : processor_now().states};
    return processor_runs(&all, otherwise, false) && !this.call;
}

/* One behind the other, as a program would find them: CPUID.1:ECX, CPUID.7:EBX and ECX. */
EXPORT(u32, asked, int which) {
    struct processor all = processor_now();
    return which ? which == 1 ? all.low : all.high : all.basic;
}
