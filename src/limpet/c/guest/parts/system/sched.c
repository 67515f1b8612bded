/* Scheduling: one processor, and nobody else to be scheduled before or after. */
#include "parts/system/own.h"

enum { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE = 5, SCHED_DEADLINE };
#define SCHED_RESET_ON_FORK 0x40000000

static s32 policy_now = SCHED_OTHER;
static bool resets; /* SCHED_RESET_ON_FORK, which nobody without privilege takes back */

long sys_sched_getaffinity(long pid, long size, long to) {
    if ((u32)size < 1 || (u32)size % 8)
        return -EINVAL;
    if (own_thread(pid))
        return -ESRCH;
    *(u64 *)to = 1;
    return 8;
}

long sys_sched_setaffinity(long pid, long size, long from) {
    u64 mask = 0;
    memcpy(&mask, (const void *)from, MIN((u32)size, sizeof mask));
    if (own_thread(pid))
        return -ESRCH;
    return mask & 1 ? 0 : -EINVAL;
}

long sys_sched_getscheduler(long pid) {
    return (s32)pid < 0      ? -EINVAL
           : own_thread(pid) ? -ESRCH
                             : policy_now | (resets ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(long pid, long to) {
    if (!to || (s32)pid < 0)
        return -EINVAL;
    if (own_thread(pid))
        return -ESRCH;
    *(u32 *)to = 0;
    return 0;
}

/* Nobody without privilege gets a real-time policy. */
static long may_schedule(s32 policy, s32 priority) {
    bool realtime = policy == SCHED_FIFO || policy == SCHED_RR;
    bool known = realtime || policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
    if (!known || (u32)priority > 99 || realtime != (priority != 0))
        return -EINVAL;
    return realtime ? -EPERM : 0;
}

static long set_scheduler(long pid, s32 policy, bool reset, long parameters) {
    if (!parameters || (s32)pid < 0)
        return -EINVAL;
    s32 priority = *(const s32 *)parameters;
    if (own_thread(pid))
        return -ESRCH;
    long error = may_schedule(policy, priority);
    bool more = policy_now == SCHED_IDLE && policy != SCHED_IDLE; /* no nice value is allowed */
    if (!error && (more || (resets && !reset)))
        error = -EPERM;
    if (!error)
        policy_now = policy, resets = reset;
    return error;
}

long sys_sched_setscheduler(long pid, long policy, long parameters) {
    if ((s32)policy < 0)
        return -EINVAL;
    return set_scheduler(pid, (s32)policy & ~SCHED_RESET_ON_FORK, policy & SCHED_RESET_ON_FORK,
                         parameters);
}

long sys_sched_setparam(long pid, long parameters) {
    return set_scheduler(pid, policy_now, resets, parameters);
}

static long range_of(long policy, long realtime) {
    switch ((s32)policy) {
    case SCHED_FIFO:
    case SCHED_RR:
        return realtime;
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
    case SCHED_DEADLINE:
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_sched_get_priority_max(long policy) {
    return range_of(policy, 99);
}

long sys_sched_get_priority_min(long policy) {
    return range_of(policy, 1);
}

struct sched_attr {
    u32 size, policy;
    u64 flags;
    s32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 least, most;
};
#define FIRST_SIZE 48U /* of the structure as it was at first */

long sys_sched_getattr(long pid, long to, long size, long flags) {
    if (!to || (s32)pid < 0 || (u32)size > PAGE || (u32)size < FIRST_SIZE || (u32)flags)
        return -EINVAL;
    if (own_thread(pid))
        return -ESRCH;
    struct sched_attr attributes = {.policy = (u32)policy_now, .flags = resets};
    attributes.size = MIN((u32)size, (u32)sizeof attributes);
    memcpy((void *)to, &attributes, attributes.size);
    return 0;
}
