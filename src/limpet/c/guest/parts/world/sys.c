/* /sys: one processor, one node of memory. */
#include "parts/world/world.h"

static const struct standard none[] = {{0}};

static const struct standard topology[] = {
    FIXED("core_id", "0\n"),
    FIXED("core_cpus", "1\n"),
    FIXED("core_cpus_list", "0\n"),
    FIXED("core_siblings", "1\n"),
    FIXED("core_siblings_list", "0\n"),
    FIXED("physical_package_id", "0\n"),
    FIXED("thread_siblings", "1\n"),
    FIXED("thread_siblings_list", "0\n"),
    {0},
};

static const struct standard cpu0[] = {FOLDER("topology", 0755, topology), {0}};

static const struct standard cpu[] = {
    FOLDER("cpu0", 0755, cpu0), FIXED("isolated", "\n"),
    FIXED("kernel_max", "0\n"), FIXED("offline", "\n"),
    FIXED("online", "0\n"),     FIXED("possible", "0\n"),
    FIXED("present", "0\n"),    {0},
};

static const struct standard node0[] = {
    FIXED("cpulist", "0\n"), FIXED("cpumap", "1\n"), FIXED("distance", "10\n"), {0}};

static const struct standard node[] = {
    FIXED("has_cpu", "0\n"), FIXED("has_memory", "0\n"), FOLDER("node0", 0755, node0),
    FIXED("online", "0\n"),  FIXED("possible", "0\n"),   {0},
};

static const struct standard system_names[] = {
    FOLDER("cpu", 0755, cpu), FOLDER("node", 0755, node), {0}};
static const struct standard devices[] = {FOLDER("system", 0755, system_names), {0}};

static const struct standard huge[] = {
    FIXED("defrag", "always defer defer+madvise madvise [never]\n"),
    FIXED("enabled", "always madvise [never]\n"),
    FIXED("hpage_pmd_size", "2097152\n"),
    {0},
};
static const struct standard mm[] = {FOLDER("transparent_hugepage", 0755, huge), {0}};
static const struct standard kernel[] = {FOLDER("mm", 0755, mm), {0}};
static const struct standard fs[] = {FOLDER("cgroup", 0755, none), {0}};

const struct standard sys_names[] = {
    FOLDER("block", 0755, none),
    FOLDER("bus", 0755, none),
    FOLDER("class", 0755, none),
    FOLDER("devices", 0755, devices),
    FOLDER("fs", 0755, fs),
    FOLDER("kernel", 0755, kernel),
    {0},
};
