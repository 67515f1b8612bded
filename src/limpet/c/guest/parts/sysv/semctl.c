/* What is told of sets of semaphores, and changed: semctl(2). */
#include "parts/sysv/semaphores.h"

enum {
    GETPID = 11,
    GETVAL = 12,
    GETALL = 13,
    GETNCNT = 14,
    GETZCNT = 15,
    SETVAL = 16,
    SETALL = 17,
    SEM_STAT = 18,
    SEM_INFO = 19,
    SEM_STAT_ANY = 20
};

/* uapi asm/sembuf.h: struct semid64_ds */
struct set_status {
    struct ipc_permissions permissions;
    s64 used, unused1, changed, unused2;
    u64 count, unused[2];
};
_Static_assert(sizeof(struct set_status) == 104, "struct semid64_ds");

struct set_limits {
    s32 map, sets, semaphores, undos, in_set, operations, undo_entries, size, value, adjust;
};

static long limits(long to, bool used) {
    struct set_limits all = {.map = MOST_SEMAPHORES,
                             .sets = SETS,
                             .semaphores = MOST_SEMAPHORES,
                             .undos = MOST_SEMAPHORES,
                             .in_set = MOST_IN_SET,
                             .operations = MOST_OPERATIONS,
                             .undo_entries = MOST_OPERATIONS,
                             .size = 20,
                             .value = MOST_VALUE,
                             .adjust = MOST_ADJUST};
    if (used) {
        all.size = (s32)sets.count, all.adjust = 0;
        for (const struct ipc *each = sets.first; each; each = each->next)
            all.adjust += (s32)((const struct set *)each)->count;
    }
    *(struct set_limits *)to = all;
    return ipc_highest(&sets);
}

static long tell(const struct set *set, long to, bool by_index) {
    if (!set)
        return -EINVAL;
    *(struct set_status *)to = (struct set_status){.permissions = set->ipc.permissions,
                                                   .used = set->used,
                                                   .changed = set->changed,
                                                   .count = set->count};
    return by_index ? ipc_id(&set->ipc) : 0;
}

static long count_waiters(const struct set *set, u16 number, bool for_zero) {
    long count = 0;
    for (const struct waiter *each = set->waiters; each; each = each->next)
        count += each->number == number && each->for_zero == for_zero;
    return count;
}

static void changed(struct set *set) {
    set->changed = ipc_time();
    park_changed(&set->ipc);
}

static void set_value(struct semaphore *own, u16 value) {
    *own = (struct semaphore){.value = value, .process = OWN_ID};
}

static long of_one(struct set *set, long number, u32 command, long argument) {
    if ((s32)number < 0 || (u64)(s32)number >= set->count)
        return -EINVAL;
    struct semaphore *own = &set->semaphores[(s32)number];
    switch (command) {
    case GETVAL:
        return own->value;
    case GETPID:
        return own->process;
    case SETVAL:
        set_value(own, (u16)argument);
        changed(set);
        return 0;
    default:
        return count_waiters(set, (u16)number, command == GETZCNT);
    }
}

static long of_all(struct set *set, u32 command, u16 *values) {
    (void)*(volatile u16 *)&values[set->count - 1]; /* all of them are copied first */
    for (u64 i = 0; i < set->count; i++) {
        if (command == GETALL)
            values[i] = set->semaphores[i].value;
        else if (values[i] > MOST_VALUE)
            return -ERANGE;
    }
    for (u64 i = 0; command == SETALL && i < set->count; i++)
        set_value(&set->semaphores[i], values[i]);
    if (command == SETALL)
        changed(set);
    return 0;
}

static long change(struct set *set, const struct set_status *to) {
    if (!set)
        return -EINVAL;
    ipc_change(&set->ipc, &to->permissions);
    set->changed = ipc_time();
    return 0;
}

static long of_set(struct set *set, u32 command, long argument) {
    struct set_status wanted;
    switch (command) {
    case IPC_STAT:
        return tell(set, argument, false);
    case IPC_SET:
        wanted = *(const struct set_status *)argument;
        return change(set, &wanted);
    case IPC_RMID:
        if (set && ipc_remove(&sets, &set->ipc))
            heap_free(set);
        return set ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

long sys_semctl(long id, long number, long command, long argument) {
    if ((s32)id < 0)
        return -EINVAL;
    struct set *set = (struct set *)ipc_of(&sets, id);
    switch ((u32)command) {
    case IPC_INFO:
    case SEM_INFO:
        return limits(argument, (u32)command == SEM_INFO);
    case SEM_STAT:
    case SEM_STAT_ANY:
        return tell((const struct set *)ipc_at(&sets, id), argument, true);
    case SETVAL:
        if ((s32)argument < 0 || (s32)argument > MOST_VALUE)
            return -ERANGE;
        /* fall through */
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
        return set ? of_one(set, number, (u32)command, argument) : -EINVAL;
    case GETALL:
    case SETALL:
        return set ? of_all(set, (u32)command, (u16 *)argument) : -EINVAL;
    default:
        return of_set(set, (u32)command, argument);
    }
}
