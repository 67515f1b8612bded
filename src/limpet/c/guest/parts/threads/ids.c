/* What a thread is called, what it leaves behind, and how it stops: with or without others. */
#include "parts/threads/threads.h"

long sys_gettid(void) {
    return current->id;
}

/* Cleared and woken when the thread ends while others go on. */
long sys_set_tid_address(long address) {
    current->clear_child_tid = (u64)address;
    return current->id;
}

#define ROBUST_HEAD 24 /* sizeof(struct robust_list_head) */

long sys_set_robust_list(long head, long size) {
    if (size != ROBUST_HEAD)
        return -EINVAL;
    current->robust_list = (u64)head;
    return 0;
}

long sys_get_robust_list(long id, long head, long size) {
    const struct thread *thread = (s32)id ? thread_of((s32)id) : current;
    if (!thread)
        return -ESRCH;
    *(u64 *)size = ROBUST_HEAD;
    *(u64 *)head = thread->robust_list;
    return 0;
}

long sys_sched_yield(void) {
    if (scheduler)
        scheduler->run_another();
    return 0;
}

long sys_exit(long code) {
    if (scheduler)
        scheduler->end((u32)code & 0xff);
    program_exit((u32)code & 0xff);
}
