/*
 * The ring-3 shim of an hvt guest: its first instruction, and where the ring-0 stubs
 * return to.  The plan counts on the offsets (limpet.solo5_layout.SHIM_ENTRIES).
 */
        .section .text.entry, "ax"

/* The state that hvt's ABI promises: the stack at the end of memory, as if called. */
        .globl  shim_start
        .type   shim_start, @function
        .org    0
shim_start:
        mov     key_rights, %eax        /* 0 where the host has no protection keys */
        test    %eax, %eax
        jz      1f
        xor     %ecx, %ecx
        xor     %edx, %edx
        wrpkru
1:
        mov     $boot_info, %edi
        mov     (%rdi), %rsp            /* mem_size */
        sub     $8, %rsp
        mov     $guest_entry, %eax
        jmp     *%rax

/* SYSCALL under kvm_pvm arrives here, and elsewhere raises this very exception. */
        .org    0x40
shim_syscall:
        ud2

        .org    0x80
        .globl  shim_trap
        .type   shim_trap, @function
shim_trap:
        lea     shim_stack_top-8(%rip), %rsp
        pushq   trap_frame+32(%rip)     /* rflags */
        pushq   trap_frame+40(%rip)     /* rsp */
        pushq   trap_frame+24(%rip)     /* rip */
        push    %r15
        push    %r14
        push    %r13
        push    %r12
        push    %r11
        push    %r10
        push    %r9
        push    %r8
        push    %rdi
        push    %rsi
        push    %rbp
        pushq   trap_frame+40(%rip)     /* rsp, in its place by number */
        push    %rbx
        push    %rdx
        push    %rcx
        push    %rax
        cld
        mov     %rsp, %rdi
        call    shim_serve
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rbx
        add     $8, %rsp
        pop     %rbp
        pop     %rsi
        pop     %rdi
        pop     %r8
        pop     %r9
        pop     %r10
        pop     %r11
        pop     %r12
        pop     %r13
        pop     %r14
        pop     %r15
        popq    resume_rip(%rip)
        popq    resume_rsp(%rip)
        popfq
        mov     resume_rsp(%rip), %rsp
        jmp     *resume_rip(%rip)

        .section .bss.entry, "aw", @nobits
        .balign 64
resume_rip:
        .skip   8
resume_rsp:
        .skip   8
        .balign 64
        .skip   4096
shim_stack_top:
        .skip   16384
        .globl  handler_stack_top
handler_stack_top:
