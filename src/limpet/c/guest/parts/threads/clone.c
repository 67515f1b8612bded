/* New threads.  What would be another process is refused, but only where Linux would not refuse
 * it for another reason. */
#include "parts/threads/threads.h"
#include "x86_64/switch.h"

#define CLONE_SIGNAL 0xffUL
#define CLONE_VM 0x100UL
#define CLONE_FS 0x200UL
#define CLONE_FILES 0x400UL
#define CLONE_SIGHAND 0x800UL
#define CLONE_PIDFD 0x1000UL
#define CLONE_PARENT 0x8000UL
#define CLONE_THREAD 0x10000UL
#define CLONE_NEWNS 0x20000UL
#define CLONE_NEW 0x6e020000UL /* any namespace but that of users */
#define CLONE_SETTLS 0x80000UL
#define CLONE_PARENT_SETTID 0x100000UL
#define CLONE_CHILD_CLEARTID 0x200000UL
#define CLONE_DETACHED 0x400000UL
#define CLONE_CHILD_SETTID 0x1000000UL
#define CLONE_NEWUSER 0x10000000UL
#define CLONE_NEWPID 0x20000000UL
#define CLONE_NEWTIME 0x80UL
#define CLONE_CLEAR_SIGHAND 0x100000000UL
#define CLONE_INTO_CGROUP 0x200000000UL

/* What a thread shares here, whether its maker wants it or not. */
#define SHARED (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

#define MOST_IDS 4194304

/* uapi linux/sched.h: struct clone_args */
struct clone_args {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    u64 set_tid, set_tid_size, cgroup;
};
#define LEAST_ARGS 64UL

const struct scheduler beside_others = {.run_another = run_another,
                                        .wake_late = wake_late,
                                        .ready = thread_ready,
                                        .begun = thread_free_ended,
                                        .end = thread_end,
                                        .futex = futex_among_threads,
                                        .say_what_waits = say_what_waits,
                                        .input_taken = input_taken,
                                        .call_ends = give_files_back};

static long check(const struct clone_args *args) {
    u64 flags = args->flags;
    if ((flags & CLONE_NEWNS && flags & CLONE_FS) || (flags & CLONE_NEWUSER && flags & CLONE_FS))
        return -EINVAL;
    if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if (flags & CLONE_SIGHAND && !(flags & CLONE_VM))
        return -EINVAL;
    if (flags & CLONE_THREAD && flags & (CLONE_NEWUSER | CLONE_NEWPID))
        return -EINVAL;
    if (flags & CLONE_PIDFD && flags & (CLONE_DETACHED | CLONE_THREAD))
        return -EINVAL;
    if (flags & (CLONE_NEW | CLONE_NEWUSER))
        return -EPERM;
    if ((flags & SHARED) != SHARED) { /* another process, or a thread with files of its own */
        call_missed(regs_call(current->call));
        return -ENOSYS;
    }
    return flags & CLONE_SETTLS && !thread_pointer_valid(args->tls) ? -EPERM : 0;
}

static s32 new_id(void) {
    static s32 last = 1;
    do
        last = last == MOST_IDS ? 2 : last + 1;
    while (thread_of(last));
    return last;
}

static u64 thread_pointer_of(const struct clone_args *args) {
    u64 own;
    __asm__ volatile("rdfsbase %0" : "=r"(own));
    return args->flags & CLONE_SETTLS ? args->tls : own;
}

static struct thread *make(const struct clone_args *args, s32 id) {
    u64 block = pages_take(LIBOS_STACK_PAGES, PAGES_LIBOS);
    if (!block)
        return NULL;
    struct thread *made = (struct thread *)(block + LIBOS_STACK_PAGES * PAGE - sizeof *made);
    struct regs regs = *current->call;
    regs_set_result(&regs, 0);
    if (args->stack)
        regs.rsp = args->stack;
    *made = (struct thread){.id = id,
                            .block = block,
                            .blocked = current->blocked,
                            .signal_stack = {.flags = SS_DISABLE}};
    memcpy(made->name, current->name, sizeof made->name);
    if (args->flags & CLONE_CHILD_CLEARTID)
        made->clear_child_tid = args->child_tid;
    made->stack = thread_stack((u64)made, &regs, thread_pointer_of(args));
    return made;
}

static long begin(const struct clone_args *args) {
    long error = check(args);
    if (error)
        return error;
    s32 id = new_id();
    if (args->flags & CLONE_PARENT_SETTID)
        *(s32 *)args->parent_tid = id;
    if (args->flags & CLONE_CHILD_SETTID)
        *(s32 *)args->child_tid = id;
    struct thread *made = make(args, id);
    if (!made)
        return -EAGAIN;
    if (scheduler != &beside_others)
        panic("it starts a thread, and the plan has none");
    made->next = threads;
    threads = made;
    thread_ready(made);
    return id;
}

long sys_clone(long flags, long stack, long parent_tid, long child_tid, long tls) {
    const struct clone_args args = {.flags = (u32)flags & ~CLONE_SIGNAL,
                                    .child_tid = (u64)child_tid,
                                    .parent_tid = (u64)parent_tid,
                                    .stack = (u64)stack,
                                    .tls = (u64)tls};
    return begin(&args);
}

static long read_args(struct clone_args *to, const u8 *from, u64 size) {
    if (size > PAGE)
        return -E2BIG;
    if (size < LEAST_ARGS)
        return -EINVAL;
    memcpy(to, from, MIN(size, sizeof *to));
    for (u64 at = sizeof *to; at < size; at++)
        if (from[at])
            return -E2BIG;
    return 0;
}

static bool stack_given(const struct clone_args *args) {
    return (args->stack == 0) == (args->stack_size == 0);
}

long sys_clone3(long from, long size) {
    struct clone_args args = {0};
    long error = read_args(&args, (const u8 *)from, (u64)size);
    if (error)
        return error;
    u64 known = 0xffffffffUL | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
    if (args.set_tid_size > 32 || (args.set_tid == 0) != (args.set_tid_size == 0) ||
        args.exit_signal >= SIGNALS || (args.flags & CLONE_INTO_CGROUP && args.cgroup >> 31) ||
        args.flags & ~known || args.flags & (CLONE_DETACHED | (CLONE_SIGNAL & ~CLONE_NEWTIME)) ||
        (args.flags & CLONE_SIGHAND && args.flags & CLONE_CLEAR_SIGHAND) ||
        (args.flags & (CLONE_THREAD | CLONE_PARENT) && args.exit_signal) || !stack_given(&args))
        return -EINVAL;
    args.stack += args.stack_size;
    return begin(&args);
}
