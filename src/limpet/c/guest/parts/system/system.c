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

/* Nobody here may name the machine. */
long sys_sethostname(long name, long size) {
    (void)name, (void)size;
    return -EPERM;
}

long sys_setdomainname(long name, long size) {
    (void)name, (void)size;
    return -EPERM;
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
