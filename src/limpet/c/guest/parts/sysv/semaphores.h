/* Sets of semaphores, as operations on them and their control know them. */
#ifndef LIMPET_SEMAPHORES_H
#define LIMPET_SEMAPHORES_H

#include "parts/sysv/sysv.h"

enum { SETS = 32000, MOST_IN_SET = 32000, MOST_OPERATIONS = 500, MOST_VALUE = 32767 };
enum { MOST_SEMAPHORES = 1024000000, MOST_ADJUST = 32767 };

struct semaphore {
    u16 value;
    short adjust; /* what SEM_UNDO would give back at the end, when nobody is left to see it */
    s32 process;
};

/* A thread that waits, on its library OS stack. */
struct waiter {
    struct waiter *next;
    u16 number;
    bool for_zero;
};

struct set {
    struct ipc ipc;
    u64 count;
    s64 used, changed;
    struct waiter *waiters;
    struct semaphore semaphores[];
};

extern struct ipc_table sets;

#endif
