/* Assembly that entry.S and tick.S share. */
#ifndef LIMPET_OWN_STACK_H
#define LIMPET_OWN_STACK_H
/* clang-format off */

/* From a handler's stack to the thread's own, the struct regs at rdi with it. */
        .macro TO_OWN_STACK
        mov     %rdi, %rsi
        mov     current(%rip), %rdi
        sub     $144, %rdi
        mov     %rdi, %rsp
        mov     $18, %ecx
        rep movsq
        mov     %rsp, %rdi
        .endm

#endif
