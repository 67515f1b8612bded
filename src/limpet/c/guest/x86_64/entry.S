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
        .section .text.entry, "ax"

        .macro SAVE_REST
        pushq   saved_rsp(%rip)
        push    %rcx                    /* rip */
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

/* After this site the flags are overwritten before they are read. */
        .globl  syscall_entry
        .type   syscall_entry, @function
        .org    0
syscall_entry:
        mov     %rsp, saved_rsp(%rip)
        lea     syscall_stack_top(%rip), %rsp
        pushq   $0x202
        SAVE_REST
        mov     %rsp, %rdi
        call    syscall_serve
        test    %al, %al
        jnz     resume_top
        add     $48, %rsp               /* r15..rbx: the C ABI kept them */
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        mov     8(%rsp), %rsp
        jmp     *%rcx

/* After this one they may be read. */
        .org    0x100
        .globl  syscall_entry_flags
        .type   syscall_entry_flags, @function
syscall_entry_flags:
        mov     %rsp, saved_rsp(%rip)
        lea     syscall_stack_top(%rip), %rsp
        pushfq
        jmp     serve_keeping_flags

/* A SYSCALL instruction that KVM delivers to LSTAR in ring 3 (kvm_pvm). */
        .org    0x180
        .globl  syscall_entry_r11
        .type   syscall_entry_r11, @function
syscall_entry_r11:
        mov     %rsp, saved_rsp(%rip)
        lea     syscall_stack_top(%rip), %rsp
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
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        popq    resume_rip(%rip)
        popq    saved_rsp(%rip)
        popfq
        mov     saved_rsp(%rip), %rsp
        jmp     *resume_rip(%rip)

/* serve_on_own_stack(regs): a trapped SYSCALL, served as a rewritten one is. */
        .globl  serve_on_own_stack
        .type   serve_on_own_stack, @function
serve_on_own_stack:
        mov     %rdi, %rsi
        lea     syscall_stack_top-144(%rip), %rdi
        mov     %rdi, %rsp
        mov     $18, %ecx
        rep movsq
        mov     %rsp, %rdi
        call    syscall_serve
        jmp     resume_top

/* The first instruction of a guest, on the stack of system calls. */
        .org    0x280
        .globl  guest_start
        .type   guest_start, @function
guest_start:
        lea     syscall_stack_top(%rip), %rsp
        call    start_program
        ud2

/* Where the ring-0 stubs return to, and where the host's signals arrive. */
        .org    0x2c0
        jmp     trap_entry_kvm
        .org    0x2d0
        jmp     trap_entry_process

        .section .bss.entry, "aw", @nobits
        .balign 8
saved_rsp:
        .skip   8
resume_rip:
        .skip   8

        .section .bss..stack, "aw", @nobits
        .balign 64
syscall_stack:
        .skip   32768
syscall_stack_top:
