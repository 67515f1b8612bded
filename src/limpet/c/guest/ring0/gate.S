/*
 * Where INT3 leads in a guest whose pages can be arranged.  The one INT3 that asks for it stands
 * at the library OS's gate (x86_64/entry.S); any other is a fault, and goes on as one.  The plan
 * puts the addresses behind the code.  DF is clear for C; nothing else of the guest's is used but
 * the numbers in four registers.
 */
        .section .text.gate, "ax"
        .globl  gate
gate:
        push    %rax
        mov     gate_address(%rip), %rax
        cmp     %rax, 8(%rsp)
        pop     %rax
        jne     fault
        cld
        lea     plan(%rip), %r8
        call    arrange
        mov     %cr3, %rcx
        mov     %rcx, %cr3              /* entries that the processor knows may be others now */
        iretq
fault:
        jmp     gate - 0x3d0            /* the stub of vector 3: x86_64/stubs.S */

        .section .text.zplan, "a"
        .balign 8
gate_address:
        .quad   0
plan:
        .skip   80
