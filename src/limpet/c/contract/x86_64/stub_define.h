/* One stub: a function whose SYSCALL is followed by its label. */
#ifndef LIMPET_STUB_DEFINE_H
#define LIMPET_STUB_DEFINE_H

#define HOST_STUB_DEFINE(hypercall, call)                                                          \
    static __attribute__((noinline)) long stub_##hypercall##_##call(                               \
        long number, long a, long b, long c, long d, long e, long f) {                             \
        register long r10 __asm__("r10") = d;                                                      \
        register long r8 __asm__("r8") = e;                                                        \
        register long r9 __asm__("r9") = f;                                                        \
        long result;                                                                               \
        __asm__ volatile("syscall\n.globl host_" #hypercall "_" #call "\nhost_" #hypercall         \
                         "_" #call ":"                                                             \
                         : "=a"(result)                                                            \
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)         \
                         : "rcx", "r11", "memory");                                                \
        return result;                                                                             \
    }

#endif
