/*
 * Signals that the host kernel sends a jailed process for its own faults, and for
 * a SYSCALL outside the hypercall stubs.  The kernel has saved the program's
 * registers in the ucontext (rdx) and reset its vector registers; these are put
 * back first, since nothing here uses them and we never return by rt_sigreturn:
 * that call could be made to change the signal mask, so the filter refuses it.
 */
        .section .text.trap_entry_process, "ax"
        .globl  trap_entry_process
        .type   trap_entry_process, @function
trap_entry_process:
        mov     %rdx, %r12
        mov     224(%r12), %rdi         /* uc_mcontext.fpstate */
        test    %rdi, %rdi
        jz      1f
        testb   $1, (%r12)              /* UC_FP_XSTATE */
        jz      2f
        mov     $-1, %eax
        mov     %eax, %edx
        xrstor64 (%rdi)
        jmp     1f
2:      fxrstor64 (%rdi)
1:      mov     %r12, %rdi
        call    trap_process
