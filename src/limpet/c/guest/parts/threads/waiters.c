/* Futexes between threads: queues of those that wait, by the address of the word. */
#include "parts/threads/threads.h"

#define QUEUES 256

static LARGE struct {
    struct futex_waiter *first, *last;
} queues[QUEUES];

static u64 queue_of(u64 key) {
    return (key >> 2 ^ key >> 10) % QUEUES;
}

void futex_enter(struct futex_waiter *waiter) {
    u64 queue = queue_of(waiter->key);
    struct futex_waiter *last = queues[queue].last;
    waiter->next = NULL;
    if (queues[queue].first)
        last->next = waiter;
    else
        queues[queue].first = waiter;
    queues[queue].last = waiter;
}

void futex_leave(struct futex_waiter *waiter) {
    u64 queue = queue_of(waiter->key);
    struct futex_waiter *before = NULL, *each = queues[queue].first;
    while (each && each != waiter)
        before = each, each = each->next;
    if (!each)
        return;
    if (before)
        before->next = waiter->next;
    else
        queues[queue].first = waiter->next;
    if (queues[queue].last == waiter)
        queues[queue].last = before;
}

long futex_park(struct futex_waiter *waiter, const struct waiting *waits) {
    futex_enter(waiter);
    long woken = park(waits);
    if (woken)
        futex_leave(waiter);
    return woken;
}

static struct futex_waiter *next_of(struct futex_waiter *each, u64 key, bool owns, u32 bits) {
    while (each && (each->key != key || !each->owner == owns || !(each->bits & bits)))
        each = each->next;
    return each;
}

static struct futex_waiter *first_of(u64 key, u32 bits) {
    return next_of(queues[queue_of(key)].first, key, false, bits);
}

struct futex_waiter *futex_first(u64 key) {
    return first_of(key, FUTEX_ANY);
}

struct futex_waiter *futex_first_to_own(u64 key) {
    return next_of(queues[queue_of(key)].first, key, true, FUTEX_ANY);
}

void futex_new_owner(u64 key, s32 owner) {
    struct futex_waiter *each = futex_first_to_own(key);
    for (; each; each = next_of(each->next, key, true, FUTEX_ANY))
        each->owner = owner;
}

struct futex_waiter *futex_waits_for(s32 owner) {
    for (u64 queue = 0; queue < QUEUES; queue++)
        for (struct futex_waiter *each = queues[queue].first; each; each = each->next)
            if (each->owner == owner)
                return each;
    return NULL;
}

static void wake_first(struct futex_waiter *waiter) {
    futex_leave(waiter);
    thread_wake(waiter->thread, 0);
}

/* As Linux counts: one is woken whatever `most` says. */
long futex_wake(u64 key, long most, u32 bits) {
    long woken = 0;
    struct futex_waiter *first;
    while ((first = first_of(key, bits))) {
        if (first->target)
            return -EINVAL;
        wake_first(first);
        if (++woken >= most)
            break;
    }
    return woken;
}

static long wait(const struct futex_call *call, u32 bits) {
    const struct waiting waits = {.deadline = call->deadline,
                                  .what = "another thread",
                                  .restarts = call->deadline == FOREVER};
    struct futex_waiter own = {.thread = current, .key = call->key, .bits = bits};
    if (*(volatile u32 *)call->address != call->value)
        return -EAGAIN;
    return futex_park(&own, &waits);
}

/* `value` of them are woken, `count` of the others wait for another word from now on. */
static long requeue(const struct futex_call *call, bool compare) {
    long done = 0;
    struct futex_waiter *first;
    if ((s32)call->value < 0 || call->count < 0 || call->other % sizeof(u32))
        return -EINVAL;
    (void)*(volatile u32 *)call->other;
    if (compare && *(volatile u32 *)call->address != call->third)
        return -EAGAIN;
    while (done - (s32)call->value < call->count && (first = first_of(call->key, FUTEX_ANY))) {
        if (first->target)
            return -EINVAL;
        if (++done <= (s32)call->value) {
            wake_first(first);
        } else if (call->address != call->other) {
            futex_leave(first);
            first->key = call->other_key;
            futex_enter(first);
        } else {
            break; /* all others stay where they are */
        }
    }
    return done;
}

/* uapi linux/futex.h: FUTEX_OP */
static s32 operand(u32 encoded) {
    return (s32)(encoded << 8) >> 20;
}

static u32 changed_word(u32 encoded, u32 old) {
    u32 by = (u32)operand(encoded);
    if (encoded >> 31)
        by = 1U << (by & 31);
    switch (encoded >> 28 & 7) {
    case 0:
        return by;
    case 1:
        return old + by;
    case 2:
        return old | by;
    case 3:
        return old & ~by;
    default:
        return old ^ by;
    }
}

static bool holds(u32 encoded, s32 old) {
    s32 than = (s32)(encoded << 20) >> 20;
    switch (encoded >> 24 & 15) {
    case 0:
        return old == than;
    case 1:
        return old != than;
    case 2:
        return old < than;
    case 3:
        return old <= than;
    case 4:
        return old > than;
    default:
        return old >= than;
    }
}

static long wake_and_change(const struct futex_call *call) {
    volatile u32 *word = (volatile u32 *)call->other;
    if (call->other % sizeof(u32))
        return -EINVAL;
    if ((call->third >> 28 & 7) > 4 || (call->third >> 24 & 15) > 5)
        return -ENOSYS;
    u32 old = *word;
    *word = changed_word(call->third, old);
    long woken = futex_wake(call->key, (s32)call->value, FUTEX_ANY);
    if (holds(call->third, (s32)old))
        woken += futex_wake(call->other_key, call->count, FUTEX_ANY);
    return woken;
}

long futex_among_threads(const struct futex_call *call) {
    switch (call->command) {
    case FUTEX_WAIT:
        return wait(call, FUTEX_ANY);
    case FUTEX_WAIT_BITSET:
        return wait(call, call->third);
    case FUTEX_WAKE:
        return futex_wake(call->key, (s32)call->value, FUTEX_ANY);
    case FUTEX_WAKE_BITSET:
        return futex_wake(call->key, (s32)call->value, call->third);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return requeue(call, call->command == FUTEX_CMP_REQUEUE);
    case FUTEX_WAKE_OP:
        return wake_and_change(call);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
        return futex_lock_owned(call);
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_to_own(call);
    case FUTEX_CMP_REQUEUE_PI:
        return futex_requeue_to_own(call);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_owned(call);
    default:
        return -ENOSYS;
    }
}
