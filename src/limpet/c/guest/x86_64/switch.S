/*
 * thread_switch(u64 *from, u64 to, u64 vectors): everything that belongs to a thread is pushed on
 * its own library OS stack.  The library OS uses no vector registers, so they are the program's;
 * what XSAVE takes of them lies on 64 bytes, and the word below it says where the rest is.
 */
        .set    ALL_BUT_TILES, 0xfff9ffff       /* which a host gives only to who asks */

        .section .text.thread_switch, "ax"
        .globl  thread_switch
        .type   thread_switch, @function
thread_switch:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        rdfsbase %rax
        push    %rax
        rdgsbase %rax
        push    %rax
        mov     %rsp, %rbp
        sub     %rdx, %rsp
        and     $-64, %rsp
        cmp     $512, %rdx
        ja      1f
        fxsave64 (%rsp)
        push    %rbp
        mov     %rsp, (%rdi)
        mov     %rsi, %rsp
        fxrstor64 8(%rsp)
        jmp     2f
1:      xor     %eax, %eax              /* the header must start as zero */
        mov     %rax, 512(%rsp)
        mov     %rax, 520(%rsp)
        mov     %rax, 528(%rsp)
        mov     %rax, 536(%rsp)
        mov     %rax, 544(%rsp)
        mov     %rax, 552(%rsp)
        mov     %rax, 560(%rsp)
        mov     %rax, 568(%rsp)
        cmp     $832, %rdx              /* AVX, and room for no more, whatever XCR0 has */
        mov     $7, %eax
        jbe     3f
        mov     $ALL_BUT_TILES, %eax
3:      mov     $-1, %edx
        xsave64 (%rsp)
        push    %rbp
        mov     %rsp, (%rdi)
        mov     %rsi, %rsp
        xrstor64 8(%rsp)
2:      pop     %rbp
        mov     %rbp, %rsp
        pop     %rax
        wrgsbase %rax
        pop     %rax
        wrfsbase %rax
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret

/* Where a new thread comes to by that RET: the program's registers lie on its stack. */
        .section .text.thread_begin, "ax"
        .globl  thread_begin
        .type   thread_begin, @function
thread_begin:
        mov     %rsp, %rdi
        call    thread_begun
        ud2
