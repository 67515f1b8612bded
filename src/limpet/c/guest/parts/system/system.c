/* What the program can ask about its machine, and the ways it ends. */
#include "core/thread.h"
#include "parts/system/release.h"
#include "linux.h"
#include "x86_64/machine.h"

struct utsname {
    char fields[6][65];
};

long sys_uname(long to) {
    static const char *const fields[6] = {SYSTEM_NAME, HOST_NAME, RELEASE,
                                          VERSION,     MACHINE,   DOMAIN_NAME};
    struct utsname *name = (struct utsname *)to;
    memset(name, 0, sizeof *name);
    for (int i = 0; i < 6; i++)
        memcpy(name->fields[i], fields[i], strlen(fields[i]));
    return 0;
}

static u64 memory_size(void) {
    return guest_info.arena_hi - guest_info.arena_lo;
}

struct sysinfo {
    s64 uptime;
    u64 loads[3], total, free, shared, buffers, swap_total, swap_free;
    u16 processes, pad[3];
    u64 high_total, high_free;
    u32 unit, tail;
};

long sys_sysinfo(long to) {
    struct sysinfo info = {.total = memory_size(),
                           .free = pages_free_count() * PAGE,
                           .processes = 1,
                           .unit = 1,
                           .uptime = (s64)(clock_monotonic() / NANOSECONDS)};
    memcpy((void *)to, &info, 112);
    return 0;
}

enum {
    RLIMIT_DATA = 2,
    RLIMIT_STACK = 3,
    RLIMIT_NPROC = 6,
    RLIMIT_NOFILE = 7,
    RLIMIT_AS = 9,
    RLIMITS = 16
};

static u64 limit_of(long resource) {
    switch (resource) {
    case RLIMIT_STACK:
        return guest_info.stack_hi - guest_info.stack_lo;
    case RLIMIT_NOFILE:
        return 1024;
    case RLIMIT_NPROC:
        return 1;
    case RLIMIT_DATA:
    case RLIMIT_AS:
        return memory_size();
    default:
        return ~0UL;
    }
}

long sys_getrlimit(long resource, long to) {
    if ((u64)resource >= RLIMITS)
        return -EINVAL;
    u64 *limits = (u64 *)to;
    limits[0] = limits[1] = limit_of(resource);
    return 0;
}

/* Limits are the plan's: lowering one is accepted and has no effect. */
long sys_setrlimit(long resource, long from) {
    if ((u64)resource >= RLIMITS)
        return -EINVAL;
    const u64 *limits = (const u64 *)from;
    if (limits[0] > limits[1])
        return -EINVAL;
    return limits[1] > limit_of(resource) ? -EPERM : 0;
}

long sys_prlimit64(long pid, long resource, long from, long to) {
    if (pid != 0 && pid != 1)
        return -ESRCH;
    if (from) {
        long error = sys_setrlimit(resource, from);
        if (error)
            return error;
    }
    return to ? sys_getrlimit(resource, to) : (u64)resource >= RLIMITS ? -EINVAL : 0;
}

long sys_getrusage(long who, long to) {
    who = (s32)who;
    if (who < -1 || who > 1)
        return -EINVAL;
    u64 *usage = (u64 *)to;
    memset(usage, 0, 144);
    if (who != -1) {
        u64 used = cpu_time(clock_monotonic());
        usage[0] = used / NANOSECONDS;
        usage[1] = used % NANOSECONDS / 1000;
        usage[4] = (memory_size() - pages_free_count() * PAGE) / 1024;
    }
    return 0;
}

long sys_getcpu(long cpu, long node) {
    if (cpu)
        *(u32 *)cpu = 0;
    if (node)
        *(u32 *)node = 0;
    return 0;
}

long sys_exit_group(long code) {
    program_exit((u32)code & 0xff);
}
