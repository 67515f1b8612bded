/* The state of signals, shared by delivery (core) and the system calls (parts/signals). */
#ifndef LIMPET_SIGNALS_H
#define LIMPET_SIGNALS_H

#include "core/thread.h"
#include "x86_64/frame.h"

#define SIGNAL_BIT(number) (1UL << ((number) - 1))

extern struct linux_sigaction signal_actions[SIGNALS]; /* of all threads */
extern struct pending signals_of_all;                  /* sent to the process: any may take them */

bool on_signal_stack(u64 sp); /* the alternate one */
void signals_block(u64 mask); /* all but those that cannot be blocked */

/* To the handler of a signal, which there is; `fault` is NULL for one that was sent.  NULL until
 * the program has installed one. */
extern void (*signal_enter)(struct regs *regs, const struct linux_siginfo *info,
                            const struct fault *fault);
void signal_handlers_exist(void);

/* The next of `set` that is pending, and what is known of it; 0: none. */
int signal_take(u64 set, struct linux_siginfo *info);

/* To a thread, or with NULL to the process.  `queued` may be NULL: nobody knows more of it.
 * False: it is ignored, or pending already, and so was not queued. */
bool signal_send(struct thread *to, int number, struct queued *queued);

/* The same with a copy of `info` (parts/signals/send.c): 0, or -errno. */
long signal_send_copy(struct thread *to, const struct linux_siginfo *info);

/* Told of each that is sent, once there are descriptors of signals. */
extern void (*signals_watched)(int number);

/* Whether it has no effect: a timer need not send it. */
bool signal_ignored(int number);

/* Until a call returns, or its handler: another mask.  It ends with `result`. */
void signals_block_for_wait(u64 mask);
long signals_after_wait(long result);

#endif
