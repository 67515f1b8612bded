/* In a virtual machine all of this is the plan's, and no instruction asks the host; in one within
 * another it may be the host's. */
#include "x86_64/processor.h"
#include "libos.h"

#define OSXSAVE (1U << 27)

static u32 leaf(u32 number, u32 *more) {
    u32 a = number, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    *more = c;
    return b;
}

static u64 states_in_use(void) {
    u32 low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (u64)high << 32 | low;
}

struct processor processor_now(void) {
    struct processor found = {0};
    leaf(1, &found.basic);
    found.low = leaf(7, &found.high);
    found.states = found.basic & OSXSAVE ? states_in_use() : 0;
    return found;
}

bool processor_has(const struct processor *all) {
    struct processor here = processor_now();
    return !(all->basic & ~here.basic) && !(all->low & ~here.low) && !(all->high & ~here.high) &&
           all->states == here.states;
}
