/*
 * The tick: an interruption of a program that computes, so that its threads take turns and its
 * timers ring.  It comes once for each time that it is asked for, after TICK_MS of processor time
 * that the guest itself used; a guest that sleeps has none.  The library OS is never interrupted:
 * a tick that meets it comes again.
 */
#ifndef LIMPET_TICK_H
#define LIMPET_TICK_H

#include "core/core.h"

/* Ask for one, unless one is on its way: brings `tick` into the plan. */
void tick_soon(void);

/* The same for timers, which alone bring no tick.  Generated: NULL where the plan has none. */
extern void (*const tick_for_timers)(void);

/* A tick has come, with `regs`: does not return.  In a process it may have met the library OS, and
 * `context` is the host's frame.  Generated: tick_came, or NULL where the plan has no tick. */
extern void (*const tick_taken)(const struct regs *regs, const void *context);
void tick_came(const struct regs *regs, const void *context);

/* x86_64/tick.S: on to tick_serve on the stack of the thread that runs, and back to the program. */
_Noreturn void tick_on_own_stack(const struct regs *regs);

/* Whose turn it is, and what has come meanwhile. */
void tick_serve(struct regs *regs);

/* A tick that met the library OS: back to it, with every register.  The two are the same; the
 * second is for a tick that meets the first. */
_Noreturn void tick_leave(const void *context);
_Noreturn void tick_leave_again(const void *context);
extern const u8 tick_leave_end[];

#endif
