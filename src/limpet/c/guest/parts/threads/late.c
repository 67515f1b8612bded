/* Whose waits end by time. */
#include "parts/threads/threads.h"

/* Two rows of threads as one, by their deadlines. */
static struct thread *merge(struct thread *a, struct thread *b) {
    struct thread *all = NULL, **end = &all;
    while (a && b) {
        struct thread **from = a->waits->deadline <= b->waits->deadline ? &a : &b;
        *end = *from, end = &(*from)->behind;
        *from = *end;
    }
    *end = a ? a : b;
    return all;
}

#define ROWS 32 /* of 1, 2, 4, ... threads, as the bits of their count */

static void put_in(struct thread *rows[ROWS], struct thread *thread) {
    u32 i = 0;
    for (thread->behind = NULL; rows[i]; i++)
        thread = merge(rows[i], thread), rows[i] = NULL;
    rows[i] = thread;
}

/* Whose time came first is first: in another order one of those that wait for a lock again and
 * again, each time for a while, would always be the last of them. */
void wake_late(u64 now) {
    struct thread *rows[ROWS] = {NULL}, *late = NULL, *next;
    for (struct thread *each = threads; each; each = each->next)
        if (each->state == THREAD_PARKED && each->waits->deadline != FOREVER &&
            now >= (u64)each->waits->deadline)
            put_in(rows, each);
    for (u32 i = 0; i < ROWS; i++)
        if (rows[i])
            late = merge(rows[i], late);
    for (; late; late = next) {
        next = late->behind;
        thread_wake(late, -ETIMEDOUT);
    }
}
