/* Waiters for a word that become waiters for a lock, or its owner, without running in between:
 * FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI.  The checks are Linux's, in its order. */
#include "parts/threads/threads.h"

long futex_wait_to_own(const struct futex_call *call) {
    const struct waiting waits = {.deadline = call->deadline,
                                  .what = "another thread, to own a lock"};
    struct futex_waiter own = {
        .thread = current, .key = call->key, .bits = FUTEX_ANY, .target = call->other_key};
    if (call->address == call->other || call->other % sizeof(u32))
        return -EINVAL;
    (void)*(volatile u32 *)call->other;
    if (*(volatile u32 *)call->address != call->value)
        return -EAGAIN;
    long woken = futex_park(&own, &waits);
    if (own.owner)
        futex_owned_waiters(-1);
    if (woken != -EINTR)
        return woken;
    return own.target ? futex_call_again() : -EAGAIN; /* who calls looks at its own word then */
}

/* The lock goes to the first of them if it is free: how many that are, or why not. */
static long offer(struct futex_waiter *first, const struct futex_call *call) {
    volatile u32 *word = (volatile u32 *)call->other;
    u32 old = *word, owner = old & FUTEX_OWNER;
    if (!owner) {
        *word =
            (u32)first->thread->id | (old & FUTEX_OWNER_DIED) | (call->count ? FUTEX_WAITERS : 0);
        futex_leave(first);
        thread_wake(first->thread, 0);
        return 1;
    }
    *word = old | FUTEX_WAITERS;
    if (owner == (u32)first->thread->id)
        return -EDEADLK;
    return thread_of(owner) ? 0 : -ESRCH;
}

static void wait_for_lock(struct futex_waiter *waiter, const struct futex_call *call) {
    futex_leave(waiter);
    waiter->key = call->other_key;
    waiter->target = 0;
    waiter->owner = (s32)(*(volatile u32 *)call->other & FUTEX_OWNER);
    futex_owned_waiters(1);
    futex_enter(waiter);
}

/* The first gets the lock or waits for it, and so do `count` of the others. */
long futex_requeue_to_own(const struct futex_call *call) {
    if ((s32)call->value < 0 || call->count < 0 || call->address == call->other ||
        call->value != 1 || call->other % sizeof(u32))
        return -EINVAL;
    (void)*(volatile u32 *)call->other;
    if (*(volatile u32 *)call->address != call->third)
        return -EAGAIN;
    struct futex_waiter *first = futex_first(call->key);
    if (!first)
        return 0;
    if (first->target != call->other_key)
        return -EINVAL;
    long done = offer(first, call);
    if (done < 0)
        return done;
    for (; done - 1 < call->count && (first = futex_first(call->key)); done++) {
        if (first->target != call->other_key)
            return -EINVAL;
        wait_for_lock(first, call);
    }
    return done;
}
