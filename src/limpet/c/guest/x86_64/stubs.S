/*
 * All the code there is in ring 0: on an exception, tell the library OS what
 * happened and return to it in ring 3.  Position-independent; the plan puts the two
 * addresses right behind the code.  Only the stack in the TSS is used, which the
 * guest cannot reach, and the only thing written elsewhere is trap_frame.
 */
        .section .text.stubs, "ax"
        .org    0
        .macro  STUB vector, has_error
        .balign 16
        .if     \has_error == 0
        push    $0
        .endif
        push    $\vector
        jmp     reflect
        .endm

        .altmacro
        .set    vector, 0
        .rept   32
        .if     vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
        STUB    %vector, 1
        .else
        STUB    %vector, 0
        .endif
        .set    vector, vector + 1
        .endr

/* On the stack: vector, error, rip, cs, rflags, rsp, ss. */
        .org    0x200
reflect:
        push    %rax
        push    %rbx
        mov     entry_address(%rip), %rax
        cmp     %rax, 32(%rsp)          /* a nested KVM gives a page fault twice, if seldom, and */
        je      again                   /* nothing can fault there: what it was stands already */
        mov     frame_address(%rip), %rbx
        mov     16(%rsp), %rax
        mov     %rax, (%rbx)            /* vector */
        mov     24(%rsp), %rax
        mov     %rax, 8(%rbx)           /* error */
        mov     %cr2, %rax
        mov     %rax, 16(%rbx)
        mov     32(%rsp), %rax
        mov     %rax, 24(%rbx)          /* rip */
        mov     48(%rsp), %rax
        mov     %rax, 32(%rbx)          /* rflags */
        mov     56(%rsp), %rax
        mov     %rax, 40(%rbx)          /* rsp */
        mov     entry_address(%rip), %rax
        mov     %rax, 32(%rsp)
        movq    $2, 48(%rsp)            /* no single step, no alignment check */
again:
        pop     %rbx
        pop     %rax
        add     $16, %rsp
        iretq

        .org    0x2f0
frame_address:
        .quad   0
entry_address:
        .quad   0
