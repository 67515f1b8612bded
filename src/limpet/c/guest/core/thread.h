/*
 * A thread of the program, and what Linux keeps for each.
 *
 * There is one processor: one thread runs, and all others are on their library OS stacks, in
 * thread_switch.  What waits is in core/park.h, what switches in parts/threads.
 */
#ifndef LIMPET_THREAD_H
#define LIMPET_THREAD_H

#include "core/core.h"
#include "core/park.h"
#include "x86_64/signal_abi.h"

struct futex_call;

enum thread_state { THREAD_RUNNABLE, THREAD_PARKED };

/* A signal with all that is known of it, until it is taken. */
struct queued {
    struct linux_siginfo info;
    struct queued *next;
    bool always; /* beside another with its number, as of a timer: there is one of it at most */
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
    u64 stack;                   /* of the library OS, while another thread runs */
    struct thread *behind;       /* in the queue of those that can run */
    s32 id;                      /* as gettid says it */
    u64 block;                   /* the pages of its stack and of this; 0 for the first thread */
    bool ended;                  /* only what it runs on is left */

    struct pending own;              /* signals sent to this thread */
    u64 blocked;                     /* signals, bit N-1 for signal N */
    u64 awaited;                     /* blocked ones that end its waiting: rt_sigtimedwait */
    long again;                      /* 1 + the call that a signal interrupted, or 0 */
    const long *settled;             /* what the call gives even if the rest of it faults */
    struct linux_stack signal_stack; /* sigaltstack */
    u64 suspended_mask;              /* while a mask holds for a wait: what a handler brings back */
    bool suspended;
    bool delivering; /* a frame is being laid: a fault is one of the program's stack */

    struct file *used[2]; /* files that the call looked up last; what they are is asked of fd_get */
    u32 uses;             /* how often it did */
    struct file *kept[2]; /* those that stay until the call ends, whoever closes them meanwhile */

    u64 clear_child_tid;          /* set_tid_address */
    u64 robust_list, robust_size; /* set_robust_list */
    char name[16];                /* prctl(PR_SET_NAME); empty: that of the program */
} __attribute__((aligned(64)));

/* The thread that runs.  Its library OS stack lies right below it and grows down from it,
 * so entry.S finds both in one word. */
extern struct thread *current;

/* All of them, the newest first. */
extern struct thread *threads;
extern u32 threads_listening;      /* parked ones that wait for something to change */
struct thread *thread_of(long id); /* NULL: there is none */

/* What there is to do beside other threads (parts/threads).  Generated: NULL in a program that
 * cannot start any, so that nothing of it is there. */
struct scheduler {
    bool (*run_another)(void);            /* until it is this thread's turn; false: no other can */
    void (*ready)(struct thread *thread); /* it can run: behind all that can already */
    void (*wake_late)(u64 now);           /* all that wait, and whose time has come by then */
    void (*begun)(void);                  /* first of all, on the stack of a new thread */
    void (*end)(u32 code);                /* of the thread that runs: does not return */
    long (*futex)(const struct futex_call *call);
    void (*say_what_waits)(void);
    bool (*input_taken)(void); /* another thread has read what came from the console */
    void (*call_ends)(void);   /* of a thread that kept files */
};
extern const struct scheduler beside_others;
extern const struct scheduler *const scheduler;

/* It waits no longer: park gives `with`. */
void thread_wake(struct thread *thread, long with);

/* The first thread, as Linux starts a program. */
void thread_start(void);

#endif
