/* POSIX timers: timer_create and what belongs to it, as kernel/time/posix-timers.c has them. */
#include "core/signals.h"
#include "parts/timers/timers.h"

enum { SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2, SIGEV_THREAD_ID = 4 };
enum { OVERRUN_MOST = 0x7fffffff };

struct linux_sigevent {
    u64 value;
    s32 signal, notify, thread;
    u8 rest[44];
};

struct posix_timer {
    struct timer timer;
    struct posix_timer *next;
    struct queued queued; /* the signal: not more than one is on its way */
    s32 to;               /* the thread, which may have ended; 0: the process */
    long clock;
    s32 id;
    bool silent;  /* SIGEV_NONE */
    bool sent;    /* the signal is on its way; an interval goes on when it is taken */
    bool stale;   /* it was set anew meanwhile: the one on its way does not count */
    bool deleted; /* freed when the signal is taken */
    u64 overrun;  /* of the last signal that was taken */
    u64 missed;   /* since, by a look at it */
};

static struct posix_timer *posix_timers;

static struct posix_timer *find(long id) {
    struct posix_timer *each = posix_timers;
    while (each && each->id != (s32)id)
        each = each->next;
    return each;
}

/* The signal arrives: an interval goes on, and what was missed is told. */
static bool taken(struct queued *queued, struct linux_siginfo *info) {
    struct posix_timer *own =
        (struct posix_timer *)((u64)queued - __builtin_offsetof(struct posix_timer, queued));
    bool counts = !own->stale && !own->deleted;
    own->sent = own->stale = false;
    if (own->deleted) {
        heap_free(own);
        return false;
    }
    if (counts && own->timer.interval && !own->timer.armed) {
        u64 passed = own->missed + timer_forward(&own->timer);
        own->overrun = MIN(passed ? passed - 1 : 0, OVERRUN_MOST);
        own->missed = 0;
        timer_arm(&own->timer, own->timer.at);
    }
    info->overrun = (s32)own->overrun;
    return counts;
}

static void rings(struct timer *timer) {
    struct posix_timer *own = (struct posix_timer *)timer;
    struct thread *to = own->to ? thread_of(own->to) : NULL;
    bool sent = !own->silent && !own->sent && (to || !own->to) &&
                signal_send(to, own->queued.info.signal, &own->queued);
    own->sent |= sent;
    own->stale = false; /* one that is on its way still is this one's now */
    if (!sent && !own->sent && timer->interval) { /* nobody will take it */
        timer_forward(timer);
        timer_arm(timer, timer->at);
    }
}

/* That of a process or thread may turn out to be none later. */
static long check_clock(long clock) {
    if (clock_only_tells(clock))
        return -EOPNOTSUPP;
    return clock < 0 || clock_known(clock) ? 0 : -EINVAL;
}

static bool valid_event(const struct linux_sigevent *event) {
    bool thread = event->notify == (SIGEV_SIGNAL | SIGEV_THREAD_ID);
    bool sends = thread || event->notify == SIGEV_SIGNAL || event->notify == SIGEV_THREAD;
    if (thread && !thread_of(event->thread))
        return false;
    return event->notify == SIGEV_NONE || (sends && event->signal > 0 && event->signal < SIGNALS);
}

long sys_timer_create(long clock, long from, long to) {
    static s32 next;
    struct linux_sigevent event = {.signal = SIGALRM, .value = (u64)next};
    if (from)
        event = *(const struct linux_sigevent *)from;
    long error = check_clock((s32)clock);
    if (error)
        return error;
    s32 id = next++; /* of one that is not made after all, too */
    if (!valid_event(&event))
        return -EINVAL;
    *(s32 *)to = id;
    if (!clock_known((s32)clock))
        return -EINVAL;
    struct posix_timer *own = heap_alloc(sizeof *own);
    if (!own)
        return -EAGAIN;
    bool silent = event.notify == SIGEV_NONE;
    *own = (struct posix_timer){.timer = {.rings = rings, .signals = !silent},
                                .next = posix_timers,
                                .queued = {.taken = taken, .always = true},
                                .to = event.notify & SIGEV_THREAD_ID ? event.thread : 0,
                                .clock = (s32)clock,
                                .id = id,
                                .silent = silent};
    own->queued.info = (struct linux_siginfo){
        .signal = event.signal, .code = SI_TIMER, .timer = own->id, .value = event.value};
    posix_timers = own;
    return 0;
}

/* An interval whose signal waits to be taken, or that sends none, has gone on meanwhile. */
static struct linux_itimerspec left_of(struct posix_timer *own) {
    struct timer *timer = &own->timer;
    struct linux_itimerspec left = timer_left(timer);
    if (timer->armed || !timer->interval || !own->sent || own->stale)
        return left;
    own->missed += timer_forward(timer);
    left.value = timespec_of((u64)MAX(timer->at - clock_now(timer->busy), 1));
    return left;
}

long sys_timer_settime(long id, long flags, long from, long to) {
    if (!from)
        return -EINVAL;
    struct linux_itimerspec spec = *(const struct linux_itimerspec *)from;
    struct posix_timer *own = find(id);
    if (!timer_is_valid(&spec) || !own)
        return -EINVAL;
    const struct linux_itimerspec before = left_of(own);
    if (!nanoseconds_of(&spec.value))
        spec.interval = spec.value;
    timer_set(&own->timer, own->clock, flags, &spec);
    own->stale = own->sent;
    own->overrun = own->missed = 0;
    if (to)
        *(struct linux_itimerspec *)to = before;
    return 0;
}

long sys_timer_gettime(long id, long to) {
    struct posix_timer *own = find(id);
    if (!own)
        return -EINVAL;
    *(struct linux_itimerspec *)to = left_of(own);
    return 0;
}

long sys_timer_getoverrun(long id) {
    const struct posix_timer *own = find(id);
    return own ? (long)own->overrun : -EINVAL;
}

long sys_timer_delete(long id) {
    struct posix_timer *own = find(id), **each = &posix_timers;
    if (!own)
        return -EINVAL;
    while (*each != own)
        each = &(*each)->next;
    *each = own->next;
    timer_disarm(&own->timer);
    own->deleted = true;
    if (!own->sent)
        heap_free(own);
    return 0;
}
