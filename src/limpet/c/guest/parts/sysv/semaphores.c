/* Sets of semaphores: semget(2) and semop(2), as ipc/sem.c has them. */
#include "parts/sysv/rows.h"
#include "parts/sysv/semaphores.h"

enum { SEM_UNDO = 010000 };

struct operation {
    u16 number;
    short by, flags;
};

struct ipc_table sets = {.most = SETS};

static void put_rest(struct text *to, const struct ipc *ipc) {
    const struct set *set = (const struct set *)ipc;
    const struct ipc_column columns[] = {{set->count, 10},
                                         IPC_OWNERS(ipc->permissions),
                                         {(u64)set->used, 10},
                                         {(u64)set->changed, 10}};
    ipc_columns(to, columns, COUNT(columns));
}

static void put_rows(struct text *to) {
    ipc_rows(&sets, to, put_rest);
}

long sys_semget(long key, long count, long flags) {
    struct ipc *found;
    if ((s32)count < 0 || (s32)count > MOST_IN_SET)
        return -EINVAL;
    long id = ipc_look(&sets, key, flags, &found);
    if (found && id >= 0 && (u64)(s32)count > ((struct set *)found)->count)
        return -EINVAL;
    if (id || found)
        return id;
    if (!(s32)count)
        return -EINVAL;
    if (sets.count >= sets.most)
        return -ENOSPC;
    struct set *made = heap_alloc(sizeof *made + (u64)(s32)count * sizeof made->semaphores[0]);
    if (!made)
        return -ENOMEM;
    sysv_rows[ROWS_OF_SETS] = put_rows;
    made->count = (u64)(s32)count, made->changed = ipc_time();
    return ipc_add(&sets, &made->ipc, key, flags);
}

/* What one of `operations` comes to: 0, an error, or 1: it has to wait. */
static long step(struct semaphore *own, const struct operation *each) {
    s32 value = own->value + each->by, adjust = own->adjust - each->by;
    if ((!each->by && own->value) || value < 0)
        return each->flags & IPC_NOWAIT ? -EAGAIN : 1;
    if (value > MOST_VALUE)
        return -ERANGE;
    bool undo = each->flags & SEM_UNDO;
    if (undo && (adjust < -MOST_ADJUST - 1 || adjust > MOST_ADJUST))
        return -ERANGE;
    own->value = (u16)value;
    if (undo)
        own->adjust = (short)adjust;
    return 0;
}

static void take_back(struct set *set, const struct operation *first, u64 count) {
    while (count--) {
        struct semaphore *own = &set->semaphores[first[count].number];
        own->value = (u16)(own->value - first[count].by);
        if (first[count].flags & SEM_UNDO)
            own->adjust = (short)(own->adjust + first[count].by);
    }
}

/* All of them or none; `*stopped` is the one that has to wait. */
static long try_all(struct set *set, const struct operation *all, u64 count, u64 *stopped) {
    bool alters = false;
    for (u64 i = 0; i < count; i++) {
        long result = step(&set->semaphores[all[i].number], &all[i]);
        if (result) {
            take_back(set, all, i);
            *stopped = i;
            return result;
        }
        alters |= all[i].by != 0;
    }
    for (u64 i = 0; i < count; i++)
        set->semaphores[all[i].number].process = OWN_ID;
    set->used = ipc_time();
    if (alters)
        park_changed(&set->ipc);
    return 0;
}

static void remove_waiter(struct set *set, const struct waiter *waiter) {
    struct waiter **each = &set->waiters;
    while (*each != waiter)
        each = &(*each)->next;
    *each = waiter->next;
}

static long wait_for(struct set *set, const struct operation *stopped, s64 deadline) {
    struct waiter own = {.next = set->waiters, .number = stopped->number, .for_zero = !stopped->by};
    set->waiters = &own;
    long error = ipc_wait(&set->ipc, deadline, "a semaphore that nobody else changes");
    remove_waiter(set, &own);
    if (set->ipc.gone && !set->ipc.waiting)
        heap_free(set);
    return error == -ETIMEDOUT ? -EAGAIN : error;
}

static long operate(long id, const struct operation *all, u64 count, s64 deadline) {
    struct set *set = (struct set *)ipc_of(&sets, id);
    u64 stopped;
    if (!set)
        return -EINVAL;
    for (u64 i = 0; i < count; i++)
        if (all[i].number >= set->count)
            return -EFBIG;
    for (;;) {
        long result = try_all(set, all, count, &stopped);
        if (result > 0)
            result = wait_for(set, &all[stopped], deadline);
        else
            return result;
        if (result)
            return result;
    }
}

/* A copy, since other threads could change what the program gave meanwhile. */
static long operate_on_copy(long id, long from, u64 count, s64 deadline) {
    struct operation *copy = heap_alloc(count * sizeof *copy);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, (const void *)from, count * sizeof *copy);
    long result = operate(id, copy, count, deadline);
    heap_free(copy);
    return result;
}

/* What comes before the times are looked at. */
static long check(long id, long from, u64 count) {
    if (count > MOST_OPERATIONS)
        return -E2BIG;
    if (count < 1)
        return -EINVAL;
    (void)*(volatile const u16 *)from;
    (void)*(volatile const u8 *)(from + (long)(count * sizeof(struct operation)) - 1);
    return (s32)id < 0 ? -EINVAL : 0;
}

long sys_semop(long id, long operations, long count) {
    u32 number = (u32)count;
    long error = check(id, operations, number);
    return error ? error : operate_on_copy(id, operations, number, FOREVER);
}

/* Without a time to wait. */
long sys_semop_untimed(long id, long operations, long count, long timeout) {
    (void)timeout;
    return sys_semop(id, operations, count);
}

long sys_semtimedop(long id, long operations, long count, long timeout) {
    u32 number = (u32)count;
    if (!timeout)
        return sys_semop(id, operations, count);
    s64 time = time_to_wait((const struct linux_timespec *)timeout);
    long error = check(id, operations, number);
    if (!error && time < 0)
        error = -EINVAL;
    if (error)
        return error;
    return operate_on_copy(id, operations, number, deadline_after(clock_monotonic(), time));
}
