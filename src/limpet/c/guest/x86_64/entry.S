/*
 * The ways into the library OS, and the one way out.
 *
 * A rewritten site arrives with rcx = where to continue, rax = number, as after
 * SYSCALL, and rsp still the program's: its red zone is live, so nothing is pushed
 * before the stack is switched.  Nested entry cannot happen: one thread, and the
 * library OS makes no Linux system calls.
 *
 * The section starts the library OS, and each .org below is an offset that the plan
 * counts on (limpet.layout.ENTRY_OFFSETS).
 */
#include "x86_64/own_stack.h"

/* The general registers, pushed and popped in the order of struct regs (x86_64/regs.h). */
        .macro PUSH_GENERAL
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        .endm

/* Those that a C function may change. */
        .macro POP_CHANGED
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        .endm

        .section .text.entry, "ax"

/* The library OS stack of the thread that runs lies right below its struct thread. */
        .macro SWITCH_STACK
        mov     %rsp, saved_rsp(%rip)
        mov     current(%rip), %rsp
        .endm

        .macro SAVE_REST
        pushq   saved_rsp(%rip)
        push    %rcx                    /* rip */
        PUSH_GENERAL
        .endm

/* After this site the flags are overwritten before they are read. */
        .globl  syscall_entry
        .type   syscall_entry, @function
        .org    0
syscall_entry:
        SWITCH_STACK
        pushq   $0x202
        SAVE_REST
        mov     %rsp, %rdi
        call    syscall_serve
        test    %al, %al
        jnz     resume_top
        add     $48, %rsp               /* r15..rbx: the C ABI kept them */
        POP_CHANGED
        mov     8(%rsp), %rsp
        jmp     *%rcx

/* After this one they may be read. */
        .org    0x100
        .globl  syscall_entry_flags
        .type   syscall_entry_flags, @function
syscall_entry_flags:
        SWITCH_STACK
        pushfq
        jmp     serve_keeping_flags

/* A SYSCALL instruction that KVM delivers to LSTAR in ring 3 (kvm_pvm). */
        .org    0x180
        .globl  syscall_entry_r11
        .type   syscall_entry_r11, @function
syscall_entry_r11:
        SWITCH_STACK
        push    %r11
serve_keeping_flags:
        SAVE_REST
        cld
        mov     %rsp, %rdi
        call    syscall_serve
resume_top:
        mov     %rsp, %rdi

/* resume(regs): to the program with every register as told. */
        .globl  resume
        .type   resume, @function
resume:
        mov     %rdi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        POP_CHANGED
        popq    resume_rip(%rip)
        popq    saved_rsp(%rip)
        popfq
        mov     saved_rsp(%rip), %rsp
        jmp     *resume_rip(%rip)

/* serve_on_own_stack(regs): a trapped SYSCALL, served as a rewritten one is. */
        .globl  serve_on_own_stack
        .type   serve_on_own_stack, @function
serve_on_own_stack:
        TO_OWN_STACK
        call    syscall_serve
        jmp     resume_top

/* The first instruction of a guest, on the stack of system calls. */
        .org    0x280
        .globl  guest_start
        .type   guest_start, @function
guest_start:
        mov     current(%rip), %rsp
        call    start_program
        ud2

/* Where the ring-0 stubs return to, and where the host's signals arrive. */
        .org    0x2c0
        jmp     trap_entry_kvm
        .org    0x2d0
        .globl  signal_entry
signal_entry:
        jmp     trap_first

/* ring0_gate(from, to, pages, rights): the one INT3 that ring 0 takes for a request (ring0/gate.S)
 * in a guest whose pages can be arranged; elsewhere nothing comes here. */
        .org    0x2e0
        .globl  ring0_gate
        .type   ring0_gate, @function
ring0_gate:
        int3
        ret

        .section .bss.entry, "aw", @nobits
        .balign 8
saved_rsp:
        .skip   8
resume_rip:
        .skip   8

/* Processor exceptions on kvm: the ring-0 stub has stored trap_frame and returned here, in
 * ring 3, with every other register as it was.  trap_frame's address is the plan's: it lies
 * in the page of boot_info.  The stack serves all threads: it is left before another runs. */
        .section .text.trap_entry_kvm, "ax"
        .globl  trap_entry_kvm
        .type   trap_entry_kvm, @function
trap_entry_kvm:
        lea     trap_stack_top(%rip), %rsp
        pushq   trap_frame+32(%rip)     /* rflags */
        pushq   trap_frame+40(%rip)     /* rsp */
        pushq   trap_frame+24(%rip)     /* rip */
        PUSH_GENERAL
        mov     %rsp, %rdi
        call    trap_kvm

        .section .bss..stack, "aw", @nobits
        .balign 64
        .skip   16384
trap_stack_top:
