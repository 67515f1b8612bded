/*
 * spt: a Solo5 guest in this very process, behind a filter.
 *
 * Trusted: the filter, and nothing else once it stands.  The guest makes its own system
 * calls, each pinned to its devices' descriptors, sector size and capacity.
 */
#include "solo5/solo5.h"
#include "enter.h"
#include "core/shown.h"

#define SPT_BOOT ((struct spt_boot_info *)BOOT_INFO)

struct epoll_event {
    u32 events;
    u64 data;
} __attribute__((packed));

static void watch(int fd, u64 data) {
    struct epoll_event event = {POLLIN, data};
    if (host4(NR_EPOLL_CTL, EPOLL_FD, EPOLL_CTL_ADD, fd, (long)&event) < 0)
        die(EXIT_CANNOT_START, "limpet: a network's descriptor cannot be waited for\n");
}

static void make_waiting_set(void) {
    if (host3(NR_EPOLL_CREATE1, O_CLOEXEC, 0, 0) != EPOLL_FD ||
        host3(NR_TIMERFD_CREATE, CLOCK_MONOTONIC, O_NONBLOCK | O_CLOEXEC, 0) != TIMER_FD)
        die(EXIT_CANNOT_START, "limpet: the host gives no epoll or timer descriptor\n");
    watch(TIMER_FD, SPT_TIMER_DATA);
    for (u64 i = 1; i < MANIFEST->count; i++)
        if (MANIFEST->entries[i].type == DEVICE_NET)
            watch((int)MANIFEST->entries[i].handle, i);
}

enum { SHOWN_MOST = 255 };

/* What /proc shows as the command line was on the host's stack, which is gone by then. The guest
 * can read and write what takes its place: so that is the bundle's name, without the path, and the
 * guest's own words. A host that refuses shows none. */
static void show_name(const char *path) {
    const char *name = path;
    for (const char *at = path; *at; at++)
        name = *at == '/' ? at + 1 : name;
    u64 size = length(name), words = length(CMDLINE);
    size = size < SHOWN_MOST ? size : SHOWN_MOST;
    memcpy((char *)SHOWN_AT, name, size);
    memcpy((char *)SHOWN_AT + size + 1, CMDLINE, words);
    u64 end = SHOWN_AT + size + 1 + (words ? words + 1 : 0);
    show_words(SHOWN_AT, end);
}

static void prepare(u64 *stack) {
    u64 memory = take_arguments(stack);
    options_taken();
    place_devices();
    make_waiting_set();
    map_memory(KERNEL_END, memory);
    SPT_BOOT->mem_size = memory;
    SPT_BOOT->kernel_end = KERNEL_END;
    SPT_BOOT->cmdline = CMDLINE_AT;
    SPT_BOOT->mft = MANIFEST_AT;
    SPT_BOOT->epollfd = EPOLL_FD;
    SPT_BOOT->timerfd = TIMER_FD;
    show_name(stack[0] ? (const char *)stack[1] : "");
}

static _Noreturn void run_process(void) {
    static const struct filter filter = {FILTER_PROCESS_LENGTH, FILTER_PROCESS_AT};
    raise_walls(SCOPES);
    enter(&filter, MONITOR_END, GUEST_START, SPT_BOOT->mem_size - 8, BOOT_INFO);
}
