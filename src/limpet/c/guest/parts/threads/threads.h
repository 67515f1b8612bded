/* Threads of the program, as the files of this part know each other. */
#ifndef LIMPET_THREADS_H
#define LIMPET_THREADS_H

#include "core/thread.h"
#include "linux.h"

enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_REQUEUE = 3,
    FUTEX_CMP_REQUEUE = 4,
    FUTEX_WAKE_OP = 5,
    FUTEX_LOCK_PI = 6,
    FUTEX_UNLOCK_PI = 7,
    FUTEX_TRYLOCK_PI = 8,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
    FUTEX_WAIT_REQUEUE_PI = 11,
    FUTEX_CMP_REQUEUE_PI = 12,
    FUTEX_LOCK_PI2 = 13,
    FUTEX_COMMAND = 0x7f,
    FUTEX_PRIVATE = 0x80,
    FUTEX_REALTIME = 0x100
};

#define FUTEX_ANY 0xffffffffU
#define FUTEX_WAITERS 0x80000000U
#define FUTEX_OWNER_DIED 0x40000000U
#define FUTEX_OWNER 0x3fffffffU

/* A futex call with its time read: what is left is the same for every program. */
struct futex_call {
    u64 address, other;
    u64 key, other_key; /* the queues: of private words, and of those that may be shared */
    u32 command, value, third;
    s32 count; /* what stands in the place of a time for commands without one */
    s64 deadline;
};

/* A thread in a futex's queue; on its library OS stack. */
struct futex_waiter {
    struct futex_waiter *next;
    struct thread *thread;
    u64 key;
    u32 bits;
    s32 owner;  /* whom it waits for, to be the owner itself: FUTEX_LOCK_PI */
    u64 target; /* the key of the lock that it wants behind this word: FUTEX_WAIT_REQUEUE_PI */
};

#define FUTEX_SHARED 1UL
static inline u64 futex_word(u64 key) {
    return key & ~FUTEX_SHARED;
}

/* waiters.c */
void futex_enter(struct futex_waiter *waiter);
void futex_leave(struct futex_waiter *waiter); /* if it is still there */
long futex_park(struct futex_waiter *waiter, const struct waiting *waits); /* until it is woken */
struct futex_waiter *futex_first(u64 key);        /* of those that want no lock there */
struct futex_waiter *futex_first_to_own(u64 key); /* of those that do */
void futex_new_owner(u64 key, s32 owner);         /* to those that wait for it */
struct futex_waiter *futex_waits_for(s32 owner);  /* for a lock that it owns */
long futex_wake(u64 key, long most, u32 bits);
long futex_among_threads(const struct futex_call *call);

/* owners.c */
long futex_lock_owned(const struct futex_call *call);
long futex_unlock_owned(const struct futex_call *call);
void futex_owner_died(u64 word);
void futex_owner_ends(void);
void futex_owned_waiters(s64 more);
long futex_call_again(void);

/* requeue.c */
long futex_wait_to_own(const struct futex_call *call);
long futex_requeue_to_own(const struct futex_call *call);

/* schedule.c */
bool run_another(void);
void wake_late(u64 now); /* late.c */
bool input_taken(void);
void give_files_back(void); /* that the thread that runs kept while others ran */
void thread_ready(struct thread *thread);
_Noreturn void run_others(void);

/* end.c */
#define LIBOS_STACK_PAGES 4UL /* the structure at their end included */
void thread_end(u32 code);
void thread_free_ended(void); /* what the last one to end ran on */

/* report.c */
void say_what_waits(void);

#endif
