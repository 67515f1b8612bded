/* The frame of a signal handler, and registers to and from one. */
#ifndef LIMPET_FRAME_H
#define LIMPET_FRAME_H

#include "core/core.h"
#include "x86_64/signal_abi.h"

/* Of the error code of a page fault (Intel SDM vol. 3, figure 4-12). */
static inline enum access page_fault_access(u64 error) {
    return error & 0x10 ? ACCESS_EXECUTE : error & 2 ? ACCESS_WRITE : ACCESS_READ;
}

/* What XSAVE stores of the program's vector registers, and that it does, to 64 bytes; it stores no
 * tiles. */
u64 frame_vectors_size(void);
void frame_save_vectors(u64 at);

void frame_registers(struct regs *to, const struct linux_sigcontext *from);

/* Lay the frame that Linux would lay below `stack`, and point the registers at the handler.
 * A bad stack is a fault while it is laid.  `fault` is NULL for a signal that was sent. */
void frame_lay(struct regs *regs, u64 stack, const struct linux_sigaction *action,
               const struct linux_siginfo *info, const struct fault *fault, u64 mask);

/* What a handler returns to: every register, the mask and the alternate stack. */
void frame_leave(struct regs *regs, u64 *mask, struct linux_stack *stack);

#endif
