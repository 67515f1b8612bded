/* Resource limits: kept for the program, and followed where the library OS can. */
#include "parts/memory/maps.h"

enum {
    RLIMIT_FSIZE = 1,
    RLIMIT_DATA = 2,
    RLIMIT_STACK = 3,
    RLIMIT_NPROC = 6,
    RLIMIT_NOFILE = 7,
    RLIMIT_AS = 9,
    RLIMITS = 16
};

#define OWN_ID 1
#define UNLIMITED (~0UL)

struct limit {
    u64 now, most;
};

static LARGE struct limit limits[RLIMITS];
static bool changed[RLIMITS];

/* What the plan gives, until the program takes less. */
static u64 planned(u32 resource) {
    switch (resource) {
    case RLIMIT_STACK:
        return guest_info.stack_hi - guest_info.stack_lo;
    case RLIMIT_NOFILE:
        return FD_MAX;
    case RLIMIT_NPROC:
        return 1;
    case RLIMIT_AS:
        if (guest_info.reserve_hi) /* addresses are not memory */
            return UNLIMITED;
        __attribute__((fallthrough));
    case RLIMIT_DATA:
        return guest_info.arena_hi - guest_info.arena_lo;
    default:
        return UNLIMITED;
    }
}

static struct limit limit_of(u32 resource) {
    u64 most = planned(resource), now = resource == RLIMIT_NOFILE ? (u64)fd_limit() : most;
    return changed[resource] ? limits[resource] : (struct limit){now, most};
}

/* What the program has mapped itself, its image and its stack, which has all its pages from the
 * start but counts as it begins on Linux. */
#define STACK_COUNTED (128 * 1024UL)

static u64 counted(const struct mapping *each, bool data) {
    u64 size = each->high - each->low;
    if (each->low == guest_info.stack_lo)
        return data ? 0 : MIN(size, STACK_COUNTED);
    return !data || (!each->given && counts_as_data(each->rights, each->shared)) ? size : 0;
}

static bool beyond(u32 resource, u64 more, bool data) {
    u64 left = limits[resource].now;
    if (!changed[resource] || left >= planned(resource))
        return false;
    for (const struct mapping *each = mapping_from(0); each; each = each->next) {
        u64 size = counted(each, data);
        if (size > left)
            return true;
        left -= size;
    }
    return more > left;
}

static bool beyond_memory(u64 more, bool data) {
    return beyond(RLIMIT_AS, more, false) || (data && beyond(RLIMIT_DATA, more, true));
}

static long set_limit(u32 resource, struct limit wanted) {
    if (wanted.now > wanted.most)
        return -EINVAL;
    if (wanted.most > limit_of(resource).most)
        return -EPERM; /* that takes a capability, and the program has none */
    limits[resource] = wanted, changed[resource] = true;
    if (resource == RLIMIT_NOFILE)
        fd_cut = FD_USUAL - (s32)wanted.now, fd_grow = fd_larger_table;
    if (resource == RLIMIT_FSIZE)
        file_size_cut = ~wanted.now;
    if (resource == RLIMIT_AS || resource == RLIMIT_DATA)
        mappings_limit = beyond_memory;
    return 0;
}

long sys_getrlimit(long resource, long to) {
    if ((u32)resource >= RLIMITS)
        return -EINVAL;
    *(struct limit *)to = limit_of((u32)resource);
    return 0;
}

long sys_setrlimit(long resource, long from) {
    struct limit wanted = *(const struct limit *)from;
    return (u32)resource < RLIMITS ? set_limit((u32)resource, wanted) : -EINVAL;
}

long sys_prlimit64(long pid, long resource, long from, long to) {
    struct limit wanted = {0};
    if (from)
        wanted = *(const struct limit *)from;
    if ((s32)pid != 0 && (s32)pid != OWN_ID)
        return -ESRCH;
    if ((u32)resource >= RLIMITS)
        return -EINVAL;
    struct limit before = limit_of((u32)resource);
    long error = from ? set_limit((u32)resource, wanted) : 0;
    if (!error && to)
        *(struct limit *)to = before;
    return error;
}
