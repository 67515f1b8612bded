/* The state of signals, shared by delivery (core) and the system calls (parts/signals). */
#ifndef LIMPET_SIGNALS_H
#define LIMPET_SIGNALS_H

#include "core/thread.h"
#include "x86_64/frame.h"

#define SIGNAL_BIT(number) (1UL << ((number) - 1))

extern struct linux_sigaction signal_actions[SIGNALS]; /* of all threads */

bool on_signal_stack(u64 sp); /* the alternate one */
void signals_block(u64 mask); /* all but those that cannot be blocked */

#endif
