/* Clocks over a host whose time the test sets. */
#include "native.h"
#include "core/alarm.c"
#include "core/string.c"
#include "parts/clock/clock.c"
#include "parts/clock/sleep.c"

struct boot_info boot_info;
struct alarms alarms;
const struct host_time *const guest_time = &host_time;
static struct thread alone = {.id = 1};
struct thread *current = &alone;
static u64 host_monotonic, host_realtime, asked, asked_of_day;
static s64 longest; /* deadline that a wait was given */

/* Of host.h. */
struct timespec {
    s64 seconds, nanoseconds;
};
struct pollfd {
    s32 fd;
    u16 events, ready;
};

static void tell(long clock, struct timespec *to) {
    u64 now = clock == CLOCK_REALTIME ? host_realtime : host_monotonic;
    asked_of_day += clock == CLOCK_REALTIME;
    to->seconds = (s64)now / NANOSECONDS, to->nanoseconds = (s64)now % NANOSECONDS;
}

#define NETWORKS 0
#define WAIT_CLOCK_GETTIME(clock, to) tell(clock, (struct timespec *)(to))
#define WAIT_PPOLL(fds, count, timeout) (void)(timeout)
#include "hypercalls/wait/wait.h"

/* Sleeps by setting the clocks; one without end is what no test here may make. */
static void host_wait(struct wait *block) {
    u64 slept = 0;
    if (block->deadline < 0)
        longest = -1;
    else if ((u64)block->deadline > host_monotonic)
        slept = (u64)block->deadline - host_monotonic;
    if (longest >= 0)
        longest = MAX(longest, block->deadline);
    host_monotonic += slept, host_realtime += slept;
    wait_until(block);
    asked++;
}

/* As the gate of one that goes on. */
void hypercall_wait(struct wait *block) {
    snapshot_wait(block, host_wait);
}

struct thread *thread_of(long id) {
    return id == alone.id ? &alone : NULL;
}

/* A thread that is alone: it waits in the host. */
long park(const struct waiting *waits) {
    struct wait block = {.deadline = waits->deadline};
    guest_time->wait(&block);
    return longest < 0 ? -EINTR : -ETIMEDOUT;
}

EXPORT(void, start, u64 khz, u64 monotonic, u64 realtime) {
    base_ticks = base_monotonic = first_ticks = first_monotonic = 0;
    before_first = idle_ticks = snapshot_host_ahead = snapshot_behind = 0;
    untold = false;
    realtime_ahead = 0;
    scale = renew_ticks = latest = 0;
    boot_info.tsc_khz = khz;
    host_monotonic = monotonic, host_realtime = realtime;
    asked = asked_of_day = 0, longest = 0;
}

EXPORT(void, is_behind, u64 nanoseconds) {
    snapshot_behind = nanoseconds;
}

EXPORT(void, host_is, u64 monotonic, u64 realtime) {
    host_monotonic = monotonic, host_realtime = realtime;
}

/* The clock when the TSC has gone on by `elapsed` since the last answer of the host. */
EXPORT(u64, after, u64 elapsed) {
    base_ticks = ticks() - elapsed;
    return clock_monotonic();
}

EXPORT(u64, realtime, void) {
    return clock_realtime();
}

EXPORT(u64, rate, u64 nanoseconds, u64 elapsed) {
    scale = 0;
    set_scale(nanoseconds, elapsed);
    return scale;
}

EXPORT(u64, in_nanoseconds, u64 elapsed) {
    return scaled(elapsed);
}

EXPORT(u64, renewed_after, void) {
    return renew_ticks;
}

EXPORT(void, renew, u64 monotonic, u64 realtime) {
    host_monotonic = monotonic, host_realtime = realtime;
    clock_renew();
}

/* The clock when the TSC has gone on by `elapsed` since the guest went on. */
EXPORT(u64, behind_the_moment, u64 elapsed) {
    base_ticks = ticks() - elapsed;
    return clock_monotonic();
}

EXPORT(u64, host_is_ahead, void) {
    return snapshot_host_ahead;
}

EXPORT(u64, busy, void) {
    return cpu_time(clock_monotonic());
}

EXPORT(u64, times_asked, void) {
    return asked;
}

EXPORT(u64, times_asked_of_day, void) {
    return asked_of_day;
}

EXPORT(s64, longest_wait, void) {
    return longest;
}

EXPORT(long, sleep, long clock, long flags, s64 seconds, s64 nanoseconds) {
    struct linux_timespec time = {seconds, nanoseconds};
    return sys_clock_nanosleep(clock, flags, (long)&time, 0);
}
