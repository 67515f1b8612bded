/*
 * Where a hypercall about frames leads instead of to its port.  A gate for each such place
 * (limpet.guests.solo5.frames) puts the guest's stack away, pushes the port and calls.  All registers
 * stay as they are, as with OUT, and so does the guest's stack.
 */
        .text
        .globl  shim_frames
        .type   shim_frames, @function
shim_frames:
        pushfq
        cld
        push    %rax
        push    %rcx
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        mov     %eax, %edi
        mov     88(%rsp), %esi          /* the port */
        call    shim_hypercall
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        popfq
        ret

        .section .bss.frames, "aw", @nobits
        .balign 64
        .globl  frames_stack_of_guest
frames_stack_of_guest:
        .skip   8
        .balign 64
        .skip   1024
        .globl  frames_stack_top
frames_stack_top:
