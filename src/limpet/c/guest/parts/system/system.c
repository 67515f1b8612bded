/* What the program can ask about its machine, and the ways it ends. */
#include "libos.h"
#include "linux.h"

struct utsname {
    char fields[6][65];
};

long sys_uname(long to) {
    static const char *const fields[6] = {"Linux",         "limpet", "6.1.0-limpet",
                                          "#1 SMP limpet", "x86_64", "(none)"};
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
    if (who < -1 || who > 1)
        return -EINVAL;
    u64 *usage = (u64 *)to;
    memset(usage, 0, 144);
    if (who != -1) {
        u64 now = clock_monotonic();
        static u64 start;
        if (!start)
            start = now;
        usage[0] = (now - start) / NANOSECONDS;
        usage[1] = (now - start) % NANOSECONDS / 1000;
        usage[4] = (memory_size() - pages_free_count() * PAGE) / 1024;
    }
    return 0;
}

long sys_sched_yield(void) {
    return 0;
}

long sys_sched_getaffinity(long pid, long size, long to) {
    if (pid != 0 && pid != 1)
        return -ESRCH;
    if (size < 8 || size % 8)
        return -EINVAL;
    *(u64 *)to = 1;
    return 8;
}

long sys_sched_setaffinity(long pid, long size, long from) {
    if (pid != 0 && pid != 1)
        return -ESRCH;
    return size >= 8 && *(const u64 *)from & 1 ? 0 : -EINVAL;
}

long sys_sched_getscheduler(long pid) {
    return pid == 0 || pid == 1 ? 0 : -ESRCH;
}

long sys_sched_getparam(long pid, long to) {
    *(u32 *)to = 0;
    return pid == 0 || pid == 1 ? 0 : -ESRCH;
}

long sys_sched_get_priority_max(long policy) {
    return policy == 1 || policy == 2 ? 99 : 0;
}

long sys_sched_get_priority_min(long policy) {
    return policy == 1 || policy == 2 ? 1 : 0;
}

long sys_getcpu(long cpu, long node) {
    if (cpu)
        *(u32 *)cpu = 0;
    if (node)
        *(u32 *)node = 0;
    return 0;
}

enum {
    PR_SET_PDEATHSIG = 1,
    PR_GET_DUMPABLE = 3,
    PR_SET_DUMPABLE = 4,
    PR_SET_NAME = 15,
    PR_GET_NAME = 16,
    PR_SET_NO_NEW_PRIVS = 38,
    PR_GET_NO_NEW_PRIVS = 39
};

long sys_prctl(long option, long argument, long c, long d, long e) {
    static char name[16] = "guest";
    (void)c, (void)d, (void)e;
    switch (option) {
    case PR_SET_NAME: {
        char copy[16] = {0};
        for (int i = 0; i < 15 && ((const char *)argument)[i]; i++)
            copy[i] = ((const char *)argument)[i];
        memcpy(name, copy, sizeof name);
        return 0;
    }
    case PR_GET_NAME:
        memcpy((void *)argument, name, sizeof name);
        return 0;
    case PR_SET_PDEATHSIG:
    case PR_SET_DUMPABLE:
    case PR_SET_NO_NEW_PRIVS:
        return 0;
    case PR_GET_DUMPABLE:
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return 1;
    default:
        return -EINVAL;
    }
}

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS };

/* FSGSBASE: ring 3 may set its own bases, so this needs no monitor. */
long sys_arch_prctl(long code, long address) {
    u64 value = (u64)address;
    bool sets = code == ARCH_SET_FS || code == ARCH_SET_GS;
    if (sets && value >= 1UL << 47)
        return -EPERM;
    switch (code) {
    case ARCH_SET_FS:
        __asm__ volatile("wrfsbase %0" ::"r"(value));
        return 0;
    case ARCH_SET_GS:
        __asm__ volatile("wrgsbase %0" ::"r"(value));
        return 0;
    case ARCH_GET_FS:
        __asm__ volatile("rdfsbase %0" : "=r"(value));
        break;
    case ARCH_GET_GS:
        __asm__ volatile("rdgsbase %0" : "=r"(value));
        break;
    default:
        return -EINVAL;
    }
    *(u64 *)address = value;
    return 0;
}

long sys_set_tid_address(long address) {
    (void)address;
    return 1;
}

long sys_set_robust_list(long head, long size) {
    (void)head, (void)size;
    return 0;
}

long sys_get_robust_list(long pid, long head, long size) {
    (void)pid;
    *(u64 *)head = 0, *(u64 *)size = 24;
    return 0;
}

long sys_capget(long header, long data) {
    (void)header;
    if (data)
        memset((void *)data, 0, 24);
    return 0;
}

long sys_personality(long persona) {
    (void)persona;
    return 0;
}

long sys_wait4(long pid, long status, long options, long usage) {
    (void)pid, (void)status, (void)options, (void)usage;
    return -ECHILD;
}

long sys_waitid(long which, long pid, long info, long options, long usage) {
    (void)which, (void)pid, (void)info, (void)options, (void)usage;
    return -ECHILD;
}

enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
    FUTEX_COMMAND = 0x7f,
    FUTEX_REALTIME = 0x100
};

static _Noreturn void deadlock(void) {
    say("limpet: the guest waits for another thread, and has only one\n");
    guest_exit(128 + 6);
}

/* With one thread, waiting can only end by its timeout. */
static long futex_wait(long address, long operation, long value, long timeout) {
    if (*(volatile u32 *)address != (u32)value)
        return -EAGAIN;
    if (!timeout)
        deadlock();
    s64 deadline = time_to_wait((const struct linux_timespec *)timeout);
    if (deadline < 0)
        return -EINVAL;
    if ((operation & FUTEX_COMMAND) == FUTEX_WAIT)
        deadline += (s64)clock_monotonic();
    else if (operation & FUTEX_REALTIME)
        deadline -= (s64)(clock_realtime() - clock_monotonic());
    while ((s64)clock_monotonic() < deadline) {
        struct wait block = {.deadline = deadline};
        hypercall_wait(&block);
    }
    return -ETIMEDOUT;
}

long sys_futex(long address, long operation, long value, long timeout, long other, long third) {
    (void)other, (void)third;
    switch (operation & FUTEX_COMMAND) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return futex_wait(address, operation, value, timeout);
    default:
        return (operation & FUTEX_COMMAND) == FUTEX_WAKE ||
                       (operation & FUTEX_COMMAND) == FUTEX_WAKE_BITSET
                   ? 0
                   : -ENOSYS;
    }
}

long sys_exit(long code) {
    guest_exit((u32)code & 0xff);
}

long sys_exit_group(long code) {
    guest_exit((u32)code & 0xff);
}
