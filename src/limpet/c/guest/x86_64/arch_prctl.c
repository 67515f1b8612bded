/* Bases of segments, which ring 3 may set by itself (FSGSBASE). */
#include "libos.h"
#include "linux.h"

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS };

long sys_arch_prctl(long code, long address) {
    u64 value = (u64)address;
    bool sets = code == ARCH_SET_FS || code == ARCH_SET_GS;
    if (sets && value >= 1UL << 47)
        return -EPERM;
    switch (code) {
    case ARCH_SET_FS:
        __asm__ volatile("wrfsbase %0" ::"r"(value));
        return 0;
    case ARCH_SET_GS:
        __asm__ volatile("wrgsbase %0" ::"r"(value));
        return 0;
    case ARCH_GET_FS:
        __asm__ volatile("rdfsbase %0" : "=r"(value));
        break;
    case ARCH_GET_GS:
        __asm__ volatile("rdgsbase %0" : "=r"(value));
        break;
    default:
        return -EINVAL;
    }
    *(u64 *)address = value;
    return 0;
}
