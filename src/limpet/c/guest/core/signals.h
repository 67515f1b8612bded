/* The state of signals, shared by delivery (core) and the system calls (parts/signals). */
#ifndef LIMPET_SIGNALS_H
#define LIMPET_SIGNALS_H

#include "core/core.h"
#include "x86_64/signal_abi.h"

#define SIGNAL_BIT(number) (1UL << ((number) - 1))

extern struct linux_sigaction signal_actions[SIGNALS];
extern struct linux_stack signal_stack;
extern u64 signals_suspended_mask;
extern bool signals_suspended;
void signal_restore_vectors(u64 at);

#endif
