/*
 * Ticks.  tick_on_own_stack(regs): as serve_on_own_stack does for a trapped SYSCALL.
 *
 * tick_leave(ucontext): back to the library OS, which the signal of a tick interrupted.  Neither
 * its stack nor any word that it uses itself may be touched, so where it goes on has a word of its
 * own, and a copy of all this another.
 */
#include "x86_64/own_stack.h"

        .section .text.tick_on_own_stack, "ax"
        .globl  tick_on_own_stack
        .type   tick_on_own_stack, @function
tick_on_own_stack:
        TO_OWN_STACK
        call    tick_serve
        mov     %rsp, %rdi
        call    resume
        ud2

        .macro  LEAVE name, goes_on
        .globl  \name
        .type   \name, @function
\name:
        pushq   168(%rdi)               /* rip */
        popq    \goes_on(%rip)
        pushq   176(%rdi)               /* rflags */
        popfq
        mov     40(%rdi), %r8
        mov     48(%rdi), %r9
        mov     56(%rdi), %r10
        mov     64(%rdi), %r11
        mov     72(%rdi), %r12
        mov     80(%rdi), %r13
        mov     88(%rdi), %r14
        mov     96(%rdi), %r15
        mov     112(%rdi), %rsi
        mov     120(%rdi), %rbp
        mov     128(%rdi), %rbx
        mov     136(%rdi), %rdx
        mov     144(%rdi), %rax
        mov     152(%rdi), %rcx
        mov     160(%rdi), %rsp
        mov     104(%rdi), %rdi
        jmp     *\goes_on(%rip)
        .endm

        .section .text.tick_leave, "ax"
        LEAVE   tick_leave, goes_on_first
        .globl  tick_leave_end
tick_leave_end:
        LEAVE   tick_leave_again, goes_on_second

        .section .bss.tick, "aw", @nobits
        .balign 8
goes_on_first:
        .skip   8
goes_on_second:
        .skip   8
