/* The first instruction: the kernel leaves the command line on the stack. */
__asm__(".section .text.start\n.globl _start\n_start:\n"
        "mov %rsp, %rdi\nand $-16, %rsp\ncall monitor_main\n");
