/*
 * Processor exceptions on kvm: the ring-0 stub has stored trap_frame and returned
 * here, in ring 3, with every other register as it was.  trap_frame's address is
 * the plan's: it lies in the page of boot_info.
 */
        .section .text.trap_entry_kvm, "ax"
        .globl  trap_entry_kvm
        .type   trap_entry_kvm, @function
trap_entry_kvm:
        lea     trap_stack_top(%rip), %rsp
        pushq   trap_frame+32(%rip)     /* rflags */
        pushq   trap_frame+40(%rip)     /* rsp */
        pushq   trap_frame+24(%rip)     /* rip */
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
        mov     %rsp, %rdi
        call    trap_kvm

        .section .bss..stack, "aw", @nobits
        .balign 64
        .skip   16384
trap_stack_top:
