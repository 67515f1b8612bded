/* From one thread of the program to another. */
#ifndef LIMPET_SWITCH_H
#define LIMPET_SWITCH_H

#include "core/core.h"

/* Leave the library OS stack of the thread that runs, noted in `*from`, for another.  Registers
 * that a C function keeps, the bases of segments and the vector registers go with the stack. */
void thread_switch(u64 *from, u64 to, u64 vectors);
u64 thread_vectors_size(void);

/* On an empty library OS stack that ends at `top`: what thread_switch goes to, for a thread that
 * starts with `regs` and the vector registers as they are. */
u64 thread_stack(u64 top, const struct regs *regs, u64 thread_pointer);
bool thread_pointer_valid(u64 at);

/* The same for one that only calls `to`, which does not return, with the bases of now. */
u64 thread_stack_for(u64 top, void (*to)(void));

/* Where it comes to, on its own stack. */
_Noreturn void thread_begun(struct regs *regs);

#endif
