/*
 * Whose turn it is.  Threads that can run wait in one queue, first come, first served; those
 * that wait for something are in none.
 */
#include "parts/threads/threads.h"
#include "core/alarm.h"
#include "core/tick.h"
#include "parts/fd/fd.h"
#include "x86_64/machine.h"
#include "x86_64/switch.h"

static struct thread *first, *last; /* of the queue */
static u64 outside;                 /* parked ones that only the host or time can end */
static u64 next_look;

#define LOOK_EVERY 1000000UL /* nanoseconds between two looks at the host while others run */

/*
 * Who is woken has its turn when the call ends that woke it, for a moment out of each while.
 * Without that a thread that gives a lock back and takes it again at once, as interpreters do
 * around each call, would keep it from all others: whoever a tick lets look finds it taken.  With
 * longer moments, threads that hand each other work in small pieces would do little but switch.
 * Both are of the processor's counter: about 0.1 ms and 0.4 ms.
 */
#define MOMENT (1UL << 18)
#define WHILE (1UL << 20)

static bool has_turn(void) {
    static u64 since;
    u64 now = ticks();
    if (now - since >= WHILE)
        since = now;
    return now - since < MOMENT;
}

void thread_ready(struct thread *thread) {
    if (thread == current) /* it only asks the host for all of them */
        return;
    thread->behind = NULL;
    if (first)
        last->behind = thread;
    else
        first = thread;
    last = thread;
    tick_soon();
    trap_frame.turn |= has_turn();
}

static bool waits_outside(const struct thread *thread) {
    return thread->state == THREAD_PARKED &&
           (thread->waits->deadline != FOREVER || thread->waits->want);
}

/* Deadlines pass and input comes while threads run, too. */
static void look_outside(void) {
    u64 now = host_time.monotonic();
    if (now < next_look)
        return;
    next_look = now + LOOK_EVERY;
    park_look();
}

/* While others run, one of them may close what the call of this thread is about. */
static void keep_files(struct thread *thread) {
    for (u32 i = 0; thread->call && i < MIN(thread->uses, COUNT(thread->used)); i++) {
        struct file *file = thread->used[i], **kept = thread->kept;
        if (file == kept[0] || file == kept[1] || kept[1])
            continue;
        kept[kept[0] ? 1 : 0] = file;
        file->references++;
    }
}

void give_files_back(void) {
    struct file *kept[2] = {current->kept[0], current->kept[1]};
    current->kept[0] = current->kept[1] = NULL;
    for (u32 i = 0; i < COUNT(kept) && kept[i]; i++)
        file_release(kept[i]);
}

/* A timer changes a file that a thread waits for, while another one runs. */
static bool timers_may_wake(bool another) {
    bool waits = current->state == THREAD_PARKED && current->waits->on;
    return alarms.at && threads_listening > (u32)(waits && !another);
}

bool run_another(void) {
    struct thread *from = current;
    bool counted = waits_outside(from);
    outside += counted;
    if (outside && (first || from->state == THREAD_RUNNABLE))
        look_outside(); /* otherwise a wait in the host follows, which tells more */
    if (from->state == THREAD_RUNNABLE && first && !from->ended) {
        last->behind = from;
        from->behind = NULL;
        last = from;
    }
    trap_frame.turn = false;
    struct thread *to = first;
    if (to)
        first = to->behind;
    u64 waiting = to && to != from ? outside : outside - counted; /* while one of them runs */
    if (first || waiting || timers_may_wake(to && to != from))
        tick_soon();
    if (to && to != from) {
        keep_files(from);
        current = to;
        thread_switch(&from->stack, to->stack, thread_vectors_size());
        thread_free_ended();
    }
    outside -= counted;
    return to || (from->state == THREAD_RUNNABLE && !from->ended); /* the look woke it */
}

/* Of all that waited for it, the first has had its turn. */
bool input_taken(void) {
    struct wait block = {.deadline = 0, .want = 1};
    host_time.wait(&block);
    return !block.ready;
}

/* The thread that runs has ended. */
_Noreturn void run_others(void) {
    for (;;)
        if (!run_another())
            park_nobody();
}
