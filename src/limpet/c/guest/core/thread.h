/*
 * A thread of the program, and what Linux keeps for each.
 *
 * There is one today: nothing makes another yet.  What is here is what a switch will have
 * to know; what waits is in core/park.h.
 */
#ifndef LIMPET_THREAD_H
#define LIMPET_THREAD_H

#include "core/core.h"
#include "core/park.h"
#include "x86_64/signal_abi.h"

enum thread_state { THREAD_RUNNABLE, THREAD_PARKED };

/* A signal with all that is known of it, until it is taken. */
struct queued {
    struct linux_siginfo info;
    struct queued *next;
    /* It leaves the queue: the last word on what is told of it.  False: it does not count. */
    bool (*taken)(struct queued *queued, struct linux_siginfo *info);
};

/* Signals that were sent and not yet taken. */
struct pending {
    u64 set;              /* bit N-1 for signal N */
    struct queued *first; /* in the order they came; one of the set may have none */
};

struct thread {
    struct regs *call;           /* of the system call being served; NULL while the program runs */
    struct thread *next;         /* in the list of all threads */
    enum thread_state state;     /* parked: it waits for what `waits` says */
    const struct waiting *waits; /* on its own library OS stack */
    long woken;                  /* what park gives once it is runnable again */

    struct pending own;              /* signals sent to this thread */
    u64 blocked;                     /* signals, bit N-1 for signal N */
    u64 awaited;                     /* blocked ones that end its waiting: rt_sigtimedwait */
    long again;                      /* 1 + the call that a signal interrupted, or 0 */
    const long *settled;             /* what the call gives even if the rest of it faults */
    struct linux_stack signal_stack; /* sigaltstack */
    u64 suspended_mask;              /* while a mask holds for a wait: what a handler brings back */
    bool suspended;
    bool delivering; /* a frame is being laid: a fault is one of the program's stack */

    u64 clear_child_tid;          /* set_tid_address */
    u64 robust_list, robust_size; /* set_robust_list */
    char name[16];                /* prctl(PR_SET_NAME) */
} __attribute__((aligned(64)));

/* The thread that runs.  Its library OS stack lies right below it and grows down from it,
 * so entry.S finds both in one word. */
extern struct thread *current;

/* All of them, in no order. */
extern struct thread *threads;

/* The first thread, as Linux starts a program. */
void thread_start(void);

#endif
