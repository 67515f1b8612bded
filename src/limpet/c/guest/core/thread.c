#include "core/thread.h"

#define STACK_SIZE 32768

/* Whole pages, so that the structure and the first calls share the last one: each page that a
 * start touches is a fault. */
static struct {
    u8 stack[STACK_SIZE - sizeof(struct thread)];
    struct thread thread;
} first __attribute__((section(".bss..stack"), aligned(PAGE)));

struct thread *current = &first.thread;
struct thread *threads;
u32 threads_listening;

struct thread *thread_of(long id) {
    struct thread *each = threads;
    while (each && each->id != id)
        each = each->next;
    return each;
}

/* Whose time is over is woken already, and still in the queue of a futex until it runs. */
void thread_wake(struct thread *thread, long with) {
    bool waits = thread->state == THREAD_PARKED;
    thread->state = THREAD_RUNNABLE;
    thread->woken = with;
    if (!waits)
        return;
    threads_listening -= thread->waits->on != NULL;
    if (scheduler)
        scheduler->ready(thread);
}

void thread_start(void) {
    threads = current;
    *current = (struct thread){.signal_stack = {.flags = SS_DISABLE}, .id = 1};
}
