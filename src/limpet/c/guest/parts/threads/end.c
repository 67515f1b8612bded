/*
 * The end of a thread while others go on.  What it leaves in memory is the program's own, and may
 * be bad: such a fault ends no more than the step that met it, and thread_end comes again.
 */
#include "parts/threads/threads.h"

#define MOST_ROBUST 2048
#define OWNED 1UL /* in a pointer of the list: FUTEX_LOCK_PI */

static u32 last_code; /* with which the last thread ended: the program's, in the end */
static struct thread *ended;

struct robust_head {
    u64 first;
    s64 offset;
    u64 pending;
};

static void give_up(u64 entry, s64 offset, bool pending) {
    volatile u32 *word = (volatile u32 *)((entry & ~OWNED) + (u64)offset);
    u32 old = *word;
    bool owned = entry & OWNED;
    if ((u64)word % sizeof(u32))
        return;
    if (pending && !owned && !old)
        futex_wake((u64)word | FUTEX_SHARED, 1, FUTEX_ANY);
    if ((old & FUTEX_OWNER) != (u32)current->id)
        return;
    if (owned) {
        futex_owner_died((u64)word);
        return;
    }
    *word = (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (old & FUTEX_WAITERS)
        futex_wake((u64)word | FUTEX_SHARED, 1, FUTEX_ANY);
}

static void give_up_all(void) {
    const struct robust_head *head = (const struct robust_head *)current->robust_list;
    current->robust_list = 0;
    if (!head)
        return;
    u64 pending = head->pending, entry = head->first;
    for (int i = 0; i < MOST_ROBUST && (entry & ~OWNED) != (u64)head; i++) {
        u64 next = *(const u64 *)(entry & ~OWNED); /* whoever is woken may take the entry */
        if (entry != pending)
            give_up(entry, head->offset, false);
        entry = next;
    }
    if (pending)
        give_up(pending, head->offset, true);
}

static void tell_joiner(void) {
    u64 at = current->clear_child_tid;
    current->clear_child_tid = 0;
    if (!at || !threads->next)
        return;
    *(volatile u32 *)at = 0;
    if (at % sizeof(u32) == 0)
        futex_wake(at | FUTEX_SHARED, 1, FUTEX_ANY);
}

static void unlink(struct thread *thread) {
    struct thread **at = &threads;
    while (*at != thread)
        at = &(*at)->next;
    *at = thread->next;
}

void thread_end(u32 code) {
    if (!current->ended)
        last_code = code;
    current->ended = true;
    give_up_all();
    futex_owner_ends();
    tell_joiner();
    if (!threads->next)
        program_exit(last_code);
    unlink(current);
    ended = current;
    run_others();
}

void thread_free_ended(void) {
    struct thread *gone = ended;
    if (!gone || gone == current)
        return;
    ended = NULL;
    if (gone->block)
        pages_give(gone->block, LIBOS_STACK_PAGES, PAGES_LIBOS);
}
