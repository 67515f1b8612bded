/* Futexes that name their owner (FUTEX_LOCK_PI).  Every thread has the same priority, so there is
 * nothing to inherit: what is left is that the lock is handed on, and that an owner can end. */
#include "parts/threads/threads.h"

static u64 waiting_to_own;

void futex_owned_waiters(s64 more) {
    waiting_to_own += (u64)more;
}

/* Whatever the handler's flags are: the call is made again when it returns. */
long futex_call_again(void) {
    struct regs *regs = current->call;
    long number = regs_call(regs);
    regs_call_again(regs, number);
    current->call = NULL; /* all registers have changed */
    return number;
}

long futex_lock_owned(const struct futex_call *call) {
    const struct waiting waits = {.deadline = call->deadline, .what = "a lock of another thread"};
    volatile u32 *word = (volatile u32 *)call->address;
    u32 old = *word, owner = old & FUTEX_OWNER;
    if (owner == (u32)current->id)
        return -EDEADLK;
    if (!owner) {
        bool others = futex_first_to_own(call->key);
        *word = (u32)current->id | (old & FUTEX_OWNER_DIED) | (others ? FUTEX_WAITERS : 0);
        return 0;
    }
    if (!thread_of(owner))
        return -ESRCH;
    if (call->command == FUTEX_TRYLOCK_PI)
        return -EAGAIN;
    *word = old | FUTEX_WAITERS;
    struct futex_waiter own = {
        .thread = current, .key = call->key, .bits = FUTEX_ANY, .owner = (s32)owner};
    waiting_to_own++;
    long woken = futex_park(&own, &waits); /* 0: the word names this thread */
    waiting_to_own--;
    return woken == -EINTR ? futex_call_again() : woken;
}

static void hand_on(u64 key, u32 with) {
    struct futex_waiter *next = futex_first_to_own(key);
    volatile u32 *word = (volatile u32 *)futex_word(key);
    if (!next) {
        *word = with;
        return;
    }
    futex_leave(next);
    futex_new_owner(key, next->thread->id);
    *word = (u32)next->thread->id | with | FUTEX_WAITERS; /* there are or not, as on Linux */
    thread_wake(next->thread, 0);
}

long futex_unlock_owned(const struct futex_call *call) {
    if ((*(volatile u32 *)call->address & FUTEX_OWNER) != (u32)current->id)
        return -EPERM;
    hand_on(call->key, 0);
    return 0;
}

/* A lock of the thread that ends, found in its list. */
void futex_owner_died(u64 word) {
    bool private = futex_first_to_own(word);
    hand_on(private ? word : word | FUTEX_SHARED, FUTEX_OWNER_DIED);
}

/* Whoever waits for a lock of the thread that ends gets it, and is told. */
void futex_owner_ends(void) {
    struct futex_waiter *waiter;
    while (waiting_to_own && (waiter = futex_waits_for(current->id)))
        hand_on(waiter->key, FUTEX_OWNER_DIED);
}
