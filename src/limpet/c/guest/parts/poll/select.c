/* select: sets of descriptors, as bits. */
#include "parts/poll/ready.h"

#define SETS 3

static bool in_set(const u64 *set, long fd) {
    return set && set[fd / 64] >> fd % 64 & 1;
}

static const u32 set_events[SETS] = {POLLIN | POLLRDNORM | POLLRDBAND,
                                     POLLOUT | POLLWRNORM | POLLWRBAND, POLLPRI};
static const u32 set_always[SETS] = {POLLHUP | POLLERR, POLLERR, 0};

/* Those that are in any set; -EBADF for one that is not open. */
static long gather(long count, u64 *const sets[SETS], struct pollfd *fds) {
    u64 used = 0;
    for (long fd = 0; fd < count; fd++) {
        u32 events = 0;
        for (int i = 0; i < SETS; i++)
            events |= in_set(sets[i], fd) ? set_events[i] : 0;
        if (events && !fd_use(fd))
            return -EBADF;
        if (events)
            fds[used++] = (struct pollfd){.fd = (s32)fd, .events = (u16)events};
    }
    return (long)used;
}

static bool answers(const struct pollfd *each, int set) {
    u32 asked = (u32)each->events & set_events[set];
    return asked && (u32)each->ready & (asked | set_always[set]);
}

static long scatter(long count, u64 *const sets[SETS], const struct pollfd *fds, u64 used) {
    long result = 0;
    for (int i = 0; i < SETS; i++) {
        if (!sets[i])
            continue;
        memset(sets[i], 0, (u64)(count + 63) / 64 * 8);
        for (u64 each = 0; each < used; each++)
            if (answers(&fds[each], i)) {
                sets[i][fds[each].fd / 64] |= 1UL << fds[each].fd % 64;
                result++;
            }
    }
    return result;
}

static long select_all(long count, u64 *const sets[SETS], s64 timeout) {
    for (int i = 0; i < SETS; i++) /* a bad one is a fault now, with nothing to give back */
        for (long word = 0; sets[i] && word < (count + 63) / 64; word++)
            (void)((volatile u64 *)sets[i])[word];
    struct pollfd *fds = heap_alloc((u64)count * sizeof *fds + 1);
    if (!fds)
        return -ENOMEM;
    long used = gather(count, sets, fds);
    long result = used < 0 ? used : poll_all(fds, (u64)used, timeout);
    if (result >= 0)
        result = scatter(count, sets, fds, (u64)used);
    heap_free(fds);
    return result;
}

struct selection {
    long count;
    u64 *sets[SETS];
    s64 timeout;
    struct rest rest;
};

static long selected(const struct selection *select) {
    long result = (s32)select->count < 0 ? -EINVAL
                                         : select_all(MIN((s32)select->count, fd_end()),
                                                      select->sets, select->timeout);
    return watch_result(result, &select->rest);
}

/* The last argument of pselect6. */
struct masked {
    const u64 *mask;
    long size;
};

long sys_pselect6(long count, long readers, long writers, long others, long time, long mask) {
    struct selection select = {count, {(u64 *)readers, (u64 *)writers, (u64 *)others}, 0, {0}};
    struct masked masked = {0};
    if (mask)
        masked = *(const struct masked *)mask;
    long error = timeout_of((const struct linux_timespec *)time, &select.timeout);
    if (!error)
        error = watch_mask(masked.mask, masked.size);
    if (error)
        return error;
    select.rest = rest_of(select.timeout, (u64)time, false);
    return selected(&select);
}

#define MICROSECONDS 1000000

long sys_select(long count, long readers, long writers, long others, long time) {
    struct selection select = {
        count, {(u64 *)readers, (u64 *)writers, (u64 *)others}, FOREVER, {0}};
    if (time) {
        struct linux_timeval given = *(const struct linux_timeval *)time;
        struct linux_timespec exact;
        if (__builtin_add_overflow(given.seconds, given.microseconds / MICROSECONDS,
                                   &exact.seconds))
            return -EINVAL;
        exact.nanoseconds = given.microseconds % MICROSECONDS * 1000;
        long error = timeout_of(&exact, &select.timeout);
        if (error)
            return error;
        select.rest = rest_of(select.timeout, (u64)time, true);
    }
    return selected(&select);
}
