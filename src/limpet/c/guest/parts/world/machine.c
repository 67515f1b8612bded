/* /proc outside of processes: a machine with one processor.  Nothing of it is the host's but the
 * rate of the TSC and the time, which the program can find out by itself. */
#include "parts/world/world.h"
#include "x86_64/machine.h"

void make_cpuinfo(struct text *to, u64 number) {
    u64 khz = boot_info.tsc_khz ? boot_info.tsc_khz : 1000000;
    (void)number;
    text_put(to, PROCESSOR_TEXT "cpu MHz\t\t: ");
    text_number(to, khz / 1000);
    text_put(to, ".");
    text_zeros(to, khz % 1000, 3);
    text_put(to, PROCESSOR_REST);
}

static void put_line(struct text *to, const char *name, u64 bytes) {
    u64 start = to->used;
    text_put(to, name);
    text_put(to, ":");
    while (to->used - start < 16 && !to->cut)
        text_put(to, " ");
    text_right(to, bytes / 1024, 8);
    text_put(to, " kB\n");
}

void make_meminfo(struct text *to, u64 number) {
    static const char *const zeros[] = {
        "Buffers",    "Cached",          "SwapCached",   "SwapTotal",  "SwapFree",
        "Dirty",      "Writeback",       "Mapped",       "Shmem",      "Slab",
        "PageTables", "HugePages_Total", "VmallocTotal", "VmallocUsed"};
    u64 total = memory_pages() * PAGE, free = pages_free_count() * PAGE;
    (void)number;
    put_line(to, "MemTotal", total);
    put_line(to, "MemFree", free);
    put_line(to, "MemAvailable", free);
    put_line(to, "Active", total - free);
    put_line(to, "Inactive", 0);
    put_line(to, "AnonPages", total - free);
    for (u64 i = 0; i < COUNT(zeros); i++)
        put_line(to, zeros[i], 0);
    put_line(to, "CommitLimit", total);
    put_line(to, "Committed_AS", total - free);
    put_line(to, "Hugepagesize", 2 << 20);
}

static u64 monotonic(void) {
    return guest_time ? guest_time->monotonic() : 0;
}

void make_uptime(struct text *to, u64 number) {
    (void)number;
    TEXT_SECONDS(to, monotonic());
    text_put(to, " 0.00\n");
}

void make_stat(struct text *to, u64 number) {
    static const char *const names[] = {"cpu  ", "cpu0 "};
    u64 up = monotonic(), used = guest_time ? cpu_time(up) : 0;
    u64 idle = up > used ? up - used : 0;
    (void)number;
    for (u64 i = 0; i < COUNT(names); i++) {
        text_put(to, names[i]);
        text_number(to, used / (NANOSECONDS / 100));
        text_put(to, " 0 0 ");
        text_number(to, idle / (NANOSECONDS / 100));
        text_put(to, " 0 0 0 0 0 0\n");
    }
    text_put(to, "intr 0\nctxt 0\nbtime ");
    text_number(to, (file_time() - up) / NANOSECONDS);
    text_put(to, "\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n"
                 "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
}

void make_partitions(struct text *to, u64 number) {
    const struct manifest *devices = (const struct manifest *)guest_info.devices;
    (void)number;
    text_put(to, "major minor  #blocks  name\n\n");
    for (u64 i = 1; block_device_ops && i < devices->count; i++) {
        const struct mft_entry *each = &devices->entries[i];
        if (each->type != DEVICE_BLOCK)
            continue;
        text_put(to, " 254 ");
        text_right(to, i, 8);
        text_put(to, " ");
        text_right(to, each->capacity / 1024, 10);
        text_put(to, " ");
        text_put(to, each->name);
        text_put(to, "\n");
    }
}
