/*
 * A guest stops at a moment, and its bundle goes on from there whenever it is started.
 *
 * All that a guest is lies in its memory: what runs is on library OS stacks, as thread_switch
 * leaves it.  So the thread that comes to the moment leaves its stack for one that ends the guest,
 * and who takes the snapshot reads the memory then.  A start that finds such memory has new
 * arguments, time and seeds in boot_info, and goes back to that stack.
 */
#include "core/signals.h"
#include "core/thread.h"
#include "linux.h"
#include "parts/memory/placed.h"
#include "parts/snapshot/snapshot.h"
#include "x86_64/processor.h"
#include "x86_64/switch.h"

/* The first is read by who takes the snapshot. */
struct {
    u64 taken;              /* enum moment */
    u64 stack;              /* of the thread that came to the moment */
    struct thread *current; /* and itself */
    struct processor on;    /* which the program may have asked what it can */
} snapshot_moment;

/* What `current` is between the two: a start runs on its stack. */
static struct {
    u8 stack[2 * PAGE - sizeof(struct thread)];
    struct thread thread;
} between __attribute__((section(".bss..stack"), aligned(PAGE)));

static void stop(void) {
    guest_exit(0);
}

void snapshot_leave(void (*to)(void)) {
    if (guest_memory)
        guest_memory->gather();
    snapshot_moment.current = current;
    current = &between.thread;
    u64 stack = thread_stack_for((u64)&between.thread, to);
    thread_switch(&snapshot_moment.stack, stack, thread_vectors_size());
}

void snapshot_go_on(void (*arrange)(void)) {
    u64 left;
    current = snapshot_moment.current;
    if (arrange)
        arrange();
    thread_switch(&left, snapshot_moment.stack, thread_vectors_size());
}

/* With memory that was brought, nothing of the moment's rights is as its own list says. */
static void come_again(bool own) {
    const struct guest_memory *memory = guest_memory;
    snapshot_go_on(!memory                  ? NULL
                   : own && snapshot_hidden ? memory->scatter_hidden
                   : own && snapshot_sealed ? memory->scatter_sealed
                                            : memory->scatter);
}

u64 snapshot_between(void) {
    return ALIGN_DOWN((u64)&between.thread, 16) - sizeof(u64);
}

enum moment snapshot_taken(void) {
    return (enum moment)snapshot_moment.taken;
}

void snapshot_take(enum moment why) {
    if (snapshot_moment.taken)
        return;
    const char *unfit = guest_snapshot->unfit ? guest_snapshot->unfit() : NULL;
    if (unfit)
        end_unstarted(unfit);
    snapshot_moment.taken = why;
    snapshot_moment.on = processor_now();
    snapshot_leave(stop);
    park_changed(&snapshot_moment);
}

/* Whoever wants to be told before, and by what; then why it was, and whether all may go on. */
static struct {
    int signal;
    s32 thread;
    enum moment why;
    bool done;
} told;

bool snapshot_signal(u64 number) {
    if (number < 1 || number >= SIGNALS)
        return false;
    told.signal = (int)number, told.thread = current->id;
    return true;
}

/* One that blocks it and looks for input would hear of it never, or too late. */
static bool hears(const struct thread *thread, enum moment why) {
    u64 handler = signal_actions[told.signal].handler;
    bool blocks = thread->blocked & SIGNAL_BIT(told.signal);
    return handler != SIG_DFL && handler != SIG_IGN &&
           !(blocks && thread == current && why == MOMENT_INPUT);
}

static bool goes_on(void) {
    return snapshot_moment.taken && (!told.why || told.done || told.thread == current->id);
}

void snapshot_come(enum moment why) {
    struct thread *to = told.signal && !told.why ? thread_of(told.thread) : NULL;
    if (snapshot_moment.taken) {
        told.done = true;
        park_changed(&snapshot_moment);
    } else if (!to) {
        snapshot_take(told.why ? told.why : why);
    } else if (!hears(to, why)) {
        end_unstarted("asked for a signal before its moment, and blocks or ignores it, or has no "
                      "handler for it");
    } else {
        told.why = why;
        signal_send(to, told.signal, NULL);
    }
}

bool snapshot_input(bool waits) {
    static const struct waiting own_moment = {
        .deadline = FOREVER,
        .restarts = true,
        .on = &snapshot_moment,
        .what = "its moment, to which no handler of its signal comes",
    };
    if (!told.why && !snapshot_moment.taken)
        snapshot_come(MOMENT_INPUT);
    while (waits && !goes_on())
        if (park(&own_moment) && signal_pending())
            break;
    return goes_on();
}

static void tell(void) {
    memory_tell((struct span){(u64)&between, (u64)(&between + 1)});
    snapshot_go_on(guest_memory ? guest_memory->scatter_sealed : NULL);
}

void snapshot_tell(void) {
    snapshot_moment.on = processor_now();
    snapshot_leave(tell);
}

static void go_on(bool own) {
    if (snapshot_waits)
        guest_placed->go_on();
    guest_snapshot->renew();
    come_again(own);
}

/* What an instruction did not tell, CPUID does. */
static void ask_processor(bool own) {
    if (!processor_has(&snapshot_moment.on))
        end_unstarted("was stopped on a processor that can more than this one: take the snapshot "
                      "again on this host");
    go_on(own);
}

static void begin_again(void) {
    bool own = !memory_take();
    if (!processor_runs(&snapshot_moment.on, ask_processor, own))
        ask_processor(own);
    go_on(own);
}

/* The words of a later start must not lie over those that the program has; nor has a bundle a piece
 * of memory for where they were. */
static void keep_strings_apart(void) {
    u64 to = ALIGN_DOWN(strings_low() - boot_info.strings_length, 64);
    memcpy((void *)to, (const void *)boot_info.strings, boot_info.strings_length);
    memset((void *)boot_info.strings, 0, boot_info.strings_length);
    boot_info.strings = to;
}

/* So that whatever makes random numbers by itself finds, as it goes on, that it has to be seeded
 * again: OpenSSL's do it after an hour. */
#define A_DAY (86400 * NANOSECONDS)

void snapshot_start(void) {
    if (snapshot_moment.taken)
        begin_again();
    if (guest_snapshot->behind)
        *guest_snapshot->behind = A_DAY;
    keep_strings_apart();
}
