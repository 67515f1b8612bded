/*
 * Clocks, from the TSC between answers of the host.
 *
 * The monitor's `wait` tells the host's time.  One answer is the base; how many
 * nanoseconds a tick has follows from the rate that KVM names, or, in a process,
 * from the distance to the first answer.  The base is renewed about once a second of
 * use, so that the host's own corrections are followed; time never runs backwards.
 */
#include "parts/clock/clock.h"
#include "core/alarm.h"
#include "core/thread.h"
#include "parts/snapshot/snapshot.h"
#include "x86_64/machine.h"

#define SHIFT 32
#define RENEW (1 * NANOSECONDS)
#define COARSE 4000000               /* ticks: at most 4 ms, which is how exact Linux's are */
#define BASELINE (20 * 1000 * 1000L) /* a rate from less than 20 ms is too coarse */

static u64 base_ticks, base_monotonic, first_ticks, first_monotonic;
static s64 realtime_ahead; /* realtime minus monotonic */
static u64 scale;          /* nanoseconds a tick, shifted left; 0 is unknown */
static u64 renew_ticks;    /* ticks after which to ask again */
static u64 latest;         /* no answer is earlier than this */
static u64 before_first;   /* nanoseconds from the start to the first answer */
static u64 idle_ticks;     /* while it waited in the host */
static bool untold;        /* it went on, and the host has not been asked since */

u64 snapshot_host_ahead, snapshot_behind;

/* (a << SHIFT) / b; a < b << SHIFT. */
static u64 divide_shifted(u64 a, u64 b) {
    return divide_wide(a >> (64 - SHIFT), a << SHIFT, b);
}

static u64 scaled(u64 elapsed) {
    return (u64)((unsigned __int128)elapsed * scale >> SHIFT);
}

static void set_scale(u64 nanoseconds, u64 elapsed) {
    if (!elapsed || nanoseconds >> SHIFT >= elapsed)
        return;
    u64 found = divide_shifted(nanoseconds, elapsed);
    if (found)
        scale = found, renew_ticks = divide_shifted((u64)RENEW, found);
}

/* Asked at `before`. */
static RARE void take_answer(const struct wait *block, u64 before) {
    u64 nanoseconds = 1000000, elapsed = boot_info.tsc_khz;
    base_ticks = before + (ticks() - before) / 2;
    base_monotonic = block->monotonic;
    if (block->realtime) /* else it goes on from the answer before */
        realtime_ahead = (s64)(block->realtime - block->monotonic);
    if (!first_ticks) {
        first_ticks = base_ticks, first_monotonic = base_monotonic;
        before_first += MAX(block->realtime, boot_info.realtime) - boot_info.realtime;
    } else {
        nanoseconds = base_monotonic - first_monotonic, elapsed = base_ticks - first_ticks;
        if (boot_info.tsc_khz || nanoseconds < (u64)BASELINE)
            return;
    }
    set_scale(nanoseconds, elapsed);
}

/* `want` may have NO_REALTIME. */
static RARE void ask_host(u64 want) {
    struct wait block = {.want = want};
    u64 before = ticks();
    hypercall_wait(&block);
    take_answer(&block, before);
}

static u64 monotonic_at(u64 moment) {
    u64 elapsed = moment - base_ticks;
    if (!scale || elapsed > renew_ticks) {
        ask_host(first_ticks && elapsed < COARSE ? NO_REALTIME : 0);
        elapsed = 0;
    }
    u64 now = base_monotonic + scaled(elapsed);
    if (now > latest)
        latest = now;
    return latest;
}

u64 clock_monotonic(void) {
    return monotonic_at(ticks());
}

u64 clock_realtime(void) {
    if (untold)
        ask_host(0);
    u64 now = clock_monotonic();
    return now + (u64)realtime_ahead;
}

/* What files have, as on Linux not to the nanosecond: while the rate is unknown, at a start
 * that looks at many files, the host is not asked for each. */
static u64 clock_coarse(void) {
    bool fresh = !scale && first_ticks && ticks() - base_ticks < COARSE;
    return fresh ? latest + (u64)realtime_ahead : clock_realtime();
}

u64 clock_waits(void) {
    return ticks();
}

u64 clock_waited(u64 since) {
    u64 now = ticks();
    idle_ticks += now - since;
    return monotonic_at(now);
}

/* Wait, and never be earlier again than the host was afterwards. */
static void wait(struct wait *block) {
    u64 before = ticks();
    hypercall_wait(block);
    idle_ticks += ticks() - before;
    latest = MAX(latest, block->monotonic);
}

/* The host's clock, and its processor, may be others.  The guest's go on from where they were;
 * where the rate of the TSC is known, that alone tells what passes, and the host is asked when
 * somebody wants to know more: in a virtual machine that is an exit. */
void clock_renew(void) {
    before_first = cpu_time(latest);
    first_monotonic = base_monotonic = latest;
    scale = first_ticks = idle_ticks = snapshot_behind = 0;
    base_ticks = ticks();
    untold = true;
    if (boot_info.tsc_khz)
        set_scale(1000000, boot_info.tsc_khz);
    if (!scale)
        ask_host(0);
}

/* What the host tells one that has not asked it since. */
static void be_told(const struct wait *answer) {
    u64 now = base_monotonic + scaled(ticks() - base_ticks);
    snapshot_host_ahead = answer->monotonic - now;
    realtime_ahead = (s64)(answer->realtime - now);
    untold = false;
}

void snapshot_wait(struct wait *block, void (*ask)(struct wait *block)) {
    s64 deadline = block->deadline;
    if (deadline > 0 && untold)
        ask_host(0);
    if (deadline > 0)
        block->deadline = MAX(deadline_after(snapshot_host_ahead, deadline), 1);
    ask(block);
    block->deadline = deadline;
    if (block->realtime) /* else it was not told */
        block->realtime -= snapshot_behind;
    if (untold)
        be_told(block);
    block->monotonic -= snapshot_host_ahead;
}

/* The same machine goes on from where its clock was, at the host's time that it is told.  How long
 * ago it was kept by both tells the rate, which it could not know by then. */
void clock_rewound(const struct rewind *told) {
    u64 kept = first_monotonic + snapshot_host_ahead;
    if (!boot_info.tsc_khz && first_ticks && told->monotonic - kept >= (u64)BASELINE)
        set_scale(told->monotonic - kept, ticks() - first_ticks);
    before_first = cpu_time(latest);
    snapshot_host_ahead = told->monotonic - latest;
    base_ticks = first_ticks = ticks();
    base_monotonic = first_monotonic = latest;
    realtime_ahead = (s64)(told->realtime - latest);
    idle_ticks = 0;
    untold = false;
}

u64 cpu_time(u64 monotonic) {
    u64 since_start = MAX(monotonic, first_monotonic) - first_monotonic + before_first;
    return since_start - MIN(since_start, scaled(idle_ticks));
}

const struct host_time host_time = {wait, clock_monotonic, clock_realtime, clock_coarse, NULL};

u64 file_time(void) {
    return guest_time ? guest_time->coarse() : boot_info.realtime;
}

static bool is_realtime(long clock) {
    return clock == CLOCK_REALTIME || clock == REALTIME_COARSE || clock == REALTIME_ALARM ||
           clock == TAI;
}

/* The low bits say which of both, and what of it: all of them are one here. */
static bool is_own_cpu(long clock) {
    long id = ~(clock >> 3);
    return clock < 0 && (clock & CPU_KIND) < CPU_KINDS &&
           (!id || (clock & CPU_OF_THREAD ? thread_of(id) != NULL : id == 1));
}

bool clock_is_busy(long clock) {
    return clock == PROCESS_CPU || clock == THREAD_CPU || is_own_cpu((s32)clock);
}

bool clock_known(long clock) {
    return is_realtime(clock) || (clock >= CLOCK_MONOTONIC && clock <= BOOTTIME_ALARM) ||
           is_own_cpu((s32)clock);
}

s64 clock_now(bool busy) {
    return busy ? busy_time(clock_monotonic()) : (s64)clock_monotonic();
}

s64 clock_moment(long clock, long flags, s64 time) {
    bool busy = clock_is_busy(clock);
    if (!(flags & TIMER_ABSTIME))
        return deadline_after((u64)clock_now(busy), time);
    if (busy)
        time = deadline_after((u64)clock_now(true), time - (s64)cpu_time(clock_monotonic()));
    else if (is_realtime(clock))
        time -= (s64)(clock_realtime() - clock_monotonic());
    return MAX(time, 1);
}

static u64 read_clock(long clock) {
    if (clock_is_busy(clock))
        return cpu_time(clock_monotonic());
    return is_realtime(clock) ? clock_realtime() : clock_monotonic();
}

long sys_clock_gettime(long clock, long to) {
    clock = (s32)clock;
    if (!clock_known(clock))
        return -EINVAL;
    *(struct linux_timespec *)to = timespec_of(read_clock(clock));
    return 0;
}

long sys_clock_getres(long clock, long to) {
    if (!clock_known((s32)clock))
        return -EINVAL;
    if (to)
        *(struct linux_timespec *)to = (struct linux_timespec){0, 1};
    return 0;
}

long sys_gettimeofday(long to, long zone) {
    if (to) {
        struct linux_timespec now = timespec_of(clock_realtime());
        *(struct linux_timeval *)to = (struct linux_timeval){now.seconds, now.nanoseconds / 1000};
    }
    if (zone)
        *(u64 *)zone = 0;
    return 0;
}

long sys_time(long to) {
    long now = (long)clock_realtime() / NANOSECONDS;
    if (to)
        *(long *)to = now;
    return now;
}

long sys_times(long to) {
    u64 ticks_of_cpu = read_clock(PROCESS_CPU) / 10000000;
    if (to) {
        memset((void *)to, 0, 32);
        *(u64 *)to = ticks_of_cpu;
    }
    return (long)(clock_monotonic() / 10000000);
}
