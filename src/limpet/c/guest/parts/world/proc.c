/* The names of /proc. */
#include "parts/system/release.h"
#include "parts/world/world.h"

/* The files of a process tell of its first thread. */
struct thread *thread_numbered(u64 number) {
    struct thread *found = thread_of((long)MAX(number, 1));
    return found ? found : current;
}

static void make_comm(struct text *to, u64 number) {
    char name[THREAD_NAME];
    thread_name(thread_numbered(number), name);
    text_put(to, name);
    text_put(to, "\n");
}

static long set_comm(const char *bytes, u64 size, u64 number) {
    char name[THREAD_NAME] = {0};
    memcpy(name, bytes, MIN(size, sizeof name - 1));
    thread_set_name(thread_numbered(number), name);
    return (long)size;
}

static char adjustment[8] = "0\n";

static void make_adjustment(struct text *to, u64 number) {
    (void)number;
    text_put(to, adjustment);
}

/* Kept, and without effect: nobody else is here whose memory could be taken instead. */
static long set_adjustment(const char *bytes, u64 size, u64 number) {
    u64 at = size && bytes[0] == '-', value = 0, digits = at;
    (void)number;
    for (; at < size && bytes[at] >= '0' && bytes[at] <= '9' && at < 6; at++)
        value = value * 10 + (u64)(bytes[at] - '0');
    if (at == digits || value > 1000 || (at < size && bytes[at] != '\n'))
        return -EINVAL;
    memset(adjustment, 0, sizeof adjustment);
    memcpy(adjustment, bytes, at);
    adjustment[at] = '\n';
    return (long)size;
}

#define MOUNTS                                                                                     \
    "limpet / tmpfs rw,relatime 0 0\n"                                                             \
    "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n"                                        \
    "sysfs /sys sysfs ro,nosuid,nodev,noexec,relatime 0 0\n"                                       \
    "devtmpfs /dev devtmpfs rw,nosuid,relatime 0 0\n"
#define MOUNT_INFO                                                                                 \
    "20 1 0:22 / / rw,relatime - tmpfs limpet rw\n"                                                \
    "21 20 0:22 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"                          \
    "22 20 0:22 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro\n"                         \
    "23 20 0:22 / /dev rw,nosuid,relatime - devtmpfs devtmpfs rw\n"

#define OF_EACH_THREAD                                                                             \
    MADE("auxv", make_auxv), FIXED("cgroup", "0::/\n"), MADE("cmdline", make_command_line),        \
        SET("comm", make_comm, set_comm),                                                          \
        {.name = "cwd", .mode = S_IFLNK | 0777, .device = DEVICE_CWD},                             \
        MADE("environ", make_environment),                                                         \
        {.name = "exe", .mode = S_IFLNK | 0777, .device = DEVICE_PROGRAM},                         \
        {.name = "fd", .mode = S_IFDIR | 0500, .device = DEVICE_FDS},                              \
        {.name = "fdinfo", .mode = S_IFDIR | 0555, .device = DEVICE_FD_INFO},                      \
        MADE("limits", make_limits), FIXED("loginuid", "4294967295"), MADE("maps", make_maps),     \
        FIXED("mountinfo", MOUNT_INFO), FIXED("mounts", MOUNTS), FIXED("oom_score", "0\n"),        \
        SET("oom_score_adj", make_adjustment, set_adjustment), FIXED("personality", "00000000\n"), \
        LINK("root", "/"), FIXED("setgroups", "allow\n"), MADE("stat", make_process_stat),         \
        MADE("statm", make_statm), MADE("status", make_status),                                    \
        FIXED("uid_map", "         0          0 4294967295\n"),                                    \
        FIXED("gid_map", "         0          0 4294967295\n"), FIXED("wchan", "0")

const struct standard thread_names[] = {OF_EACH_THREAD, {0}};

const struct standard process_names[] = {
    OF_EACH_THREAD, {.name = "task", .mode = S_IFDIR | 0555, .device = DEVICE_THREADS}, {0}};

static const struct standard random[] = {
    RANDOM("boot_id", true),
    FIXED("entropy_avail", "256\n"),
    FIXED("poolsize", "256\n"),
    RANDOM("uuid", false),
    {0},
};

static const struct standard sys_kernel[] = {
    FIXED("cap_last_cap", "40\n"),
    FIXED("core_pattern", "core\n"),
    FIXED("domainname", DOMAIN_NAME "\n"),
    FIXED("hostname", HOST_NAME "\n"),
    FIXED("ngroups_max", "65536\n"),
    FIXED("osrelease", RELEASE "\n"),
    FIXED("ostype", SYSTEM_NAME "\n"),
    FIXED("overflowgid", "65534\n"),
    FIXED("overflowuid", "65534\n"),
    FIXED("perf_event_paranoid", "3\n"),
    FIXED("pid_max", "4194304\n"),
    FIXED("randomize_va_space", "0\n"),
    FOLDER("random", 0555, random),
    FIXED("tainted", "0\n"),
    FIXED("threads-max", "32768\n"),
    FIXED("version", VERSION "\n"),
    {0},
};

static const struct standard sys_vm[] = {
    FIXED("max_map_count", "65530\n"),
    FIXED("mmap_min_addr", "65536\n"),
    FIXED("nr_hugepages", "0\n"),
    FIXED("overcommit_memory", "0\n"),
    FIXED("overcommit_ratio", "50\n"),
    FIXED("swappiness", "0\n"),
    {0},
};

static const struct standard sys_fs[] = {
    FIXED("file-max", "1024\n"),
    FIXED("nr_open", "1024\n"),
    FIXED("pipe-max-size", "65536\n"),
    {0},
};

static const struct standard proc_sys[] = {FOLDER("fs", 0555, sys_fs),
                                           FOLDER("kernel", 0555, sys_kernel),
                                           FOLDER("vm", 0555, sys_vm),
                                           {0}};

const struct standard proc_names[] = {
    FOLDER("1", 0555, process_names),
    FIXED("cmdline", "\n"),
    MADE("cpuinfo", make_cpuinfo),
    FIXED("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n136 pts\n\n"
                     "Block devices:\n254 limpet\n"),
    FIXED("filesystems", "nodev\tproc\nnodev\tsysfs\nnodev\ttmpfs\nnodev\tdevtmpfs\n"),
    FIXED("loadavg", "0.00 0.00 0.00 1/1 1\n"),
    MADE("meminfo", make_meminfo),
    LINK("mounts", "self/mounts"),
    MADE("partitions", make_partitions),
    LINK("self", "1"),
    MADE("stat", make_stat),
    FIXED("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    FOLDER("sys", 0555, proc_sys),
    FOLDER("sysvipc", 0555, sysvipc_names),
    {.name = "thread-self", .mode = S_IFLNK | 0777, .device = DEVICE_THREAD_SELF},
    MADE("uptime", make_uptime),
    FIXED("version", SYSTEM_NAME " version " RELEASE " (limpet@limpet) " VERSION "\n"),
    {0},
};
