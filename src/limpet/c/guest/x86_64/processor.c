/* In a virtual machine all of this is the plan's, and no instruction asks the host; in one within
 * another it may be the host's. */
#include "x86_64/processor.h"
#include "core/thread.h"

#define OSXSAVE (1U << 27)
#define AVX_STATES 6UL
#define AVX512_STATES 0xe6UL

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

/* Nothing is kept of what they do but in `line`, which may be any 64 bytes on 64. */
#define TRY(can, instruction)                                                                      \
    if (can)                                                                                       \
    __asm__ volatile(instruction::"D"(line) : "rax", "rcx", "rdx", "cc", "memory")
#define BIT(number) (1U << (number))

/* CPUID.1:ECX. */
static void try_basic(u32 has, bool avx, u8 *line) {
    TRY(has & BIT(0), "movddup %%xmm0, %%xmm0");
    TRY(has & BIT(1), "pclmulqdq $0, %%xmm0, %%xmm0");
    TRY(has & BIT(9), "pabsb %%xmm0, %%xmm0");
    TRY(has & BIT(13), "lock cmpxchg16b (%%rdi)");
    TRY(has & BIT(19), "pmovsxbw %%xmm0, %%xmm0");
    TRY(has & BIT(20), "crc32b %%al, %%eax");
    TRY(has & BIT(22), "movbe (%%rdi), %%eax");
    TRY(has & BIT(23), "popcnt %%eax, %%eax");
    TRY(has & BIT(25), "aesimc %%xmm0, %%xmm0");
    TRY(has & BIT(30), "rdrand %%eax");
    TRY(avx, "vpxor %%xmm0, %%xmm0, %%xmm0");
    TRY(avx && has & BIT(12), "vfmadd132ss %%xmm0, %%xmm0, %%xmm0");
    TRY(avx && has & BIT(29), "vcvtph2ps %%xmm0, %%xmm0");
}

/* CPUID.7:EBX.  RTM is told by XTEST, and what only whole vectors have without VL goes with it. */
static void try_low(u32 has, bool avx, bool avx512, u8 *line) {
    bool vl = avx512 && has & BIT(31);
    TRY(has & BIT(0), "rdfsbase %%rax");
    TRY(has & BIT(3), "andn %%eax, %%eax, %%eax");
    TRY(has & BIT(8), "rorx $1, %%eax, %%eax");
    TRY(has & BIT(11), "xtest");
    TRY(has & BIT(18), "rdseed %%eax");
    TRY(has & BIT(19), "adcx %%eax, %%eax");
    TRY(has & BIT(23), "clflushopt (%%rdi)");
    TRY(has & BIT(24), "clwb (%%rdi)");
    TRY(has & BIT(29), "sha1nexte %%xmm0, %%xmm0");
    TRY(avx && has & BIT(5), "vpbroadcastd %%xmm0, %%xmm0");
    TRY(avx512 && has & BIT(16), "kmovw %%eax, %%k1");
    TRY(avx512 && has & BIT(17), "kmovb %%eax, %%k1");
    TRY(avx512 && has & BIT(30), "kmovd %%eax, %%k1");
    TRY(avx512 && has & BIT(27), "vrcp28ss %%xmm0, %%xmm0, %%xmm0");
    TRY(vl, "vpternlogd $0, %%xmm0, %%xmm0, %%xmm0");
    TRY(vl && has & BIT(21), "vpmadd52luq %%xmm0, %%xmm0, %%xmm0");
    TRY(vl && has & BIT(28), "vplzcntd %%xmm0, %%xmm0");
}

/* CPUID.7:ECX. */
static void try_high(u32 has, bool avx, bool vl, u8 *line) {
    TRY(has & BIT(4), "xor %%ecx, %%ecx\n rdpkru");
    TRY(has & BIT(5), "umonitor %%rdi");
    TRY(has & BIT(8), "gf2p8mulb %%xmm0, %%xmm0");
    TRY(has & BIT(22), "rdpid %%rax");
    TRY(has & BIT(27), "movdiri %%eax, (%%rdi)");
    TRY(has & BIT(28), "movdir64b (%%rdi), %%rdi");
    TRY(avx && has & BIT(9), "vaesenc %%ymm0, %%ymm0, %%ymm0");
    TRY(avx && has & BIT(10), "vpclmulqdq $0, %%ymm0, %%ymm0, %%ymm0");
    TRY(vl && has & BIT(1), "vpermb %%xmm0, %%xmm0, %%xmm0");
    TRY(vl && has & BIT(6), "vpcompressb %%xmm0, %%xmm0");
    TRY(vl && has & BIT(11), "vpdpbusd %%xmm0, %%xmm0, %%xmm0");
    TRY(vl && has & BIT(12), "vpopcntb %%xmm0, %%xmm0");
    TRY(vl && has & BIT(14), "vpopcntd %%xmm0, %%xmm0");
}

bool processor_runs(const struct processor *all, void (*otherwise)(bool), bool told) {
    u8 line[64] __attribute__((aligned(64))) = {0};
    struct regs back = regs_at_start((u64)otherwise, ALIGN_DOWN((u64)line, 16) - sizeof(u64));
    bool avx = (all->states & AVX_STATES) == AVX_STATES && all->basic & BIT(28);
    bool avx512 = avx && (all->states & AVX512_STATES) == AVX512_STATES;
    back.rdi = told;
    current->call = &back;
    bool same = !(all->basic & OSXSAVE) || all->states == states_in_use();
    if (same) {
        try_basic(all->basic, avx, line);
        try_low(all->low, avx, avx512, line);
        try_high(all->high, avx, avx512 && all->low & BIT(31), line);
    }
    current->call = NULL;
    return same;
}
