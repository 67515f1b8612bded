/* Timers as descriptors: timerfd. */
#include "core/park.h"
#include "parts/fd/fd.h"
#include "parts/timers/timers.h"

enum { TFD_ABSTIME = 1, TFD_CANCEL_ON_SET = 2 };

struct descriptor {
    struct timer timer;
    struct file *file;
    long clock;
    u64 count;    /* how often it rang and was not read */
    bool expired; /* an interval goes on when it is read, or asked for */
};

static void rings(struct timer *timer) {
    struct descriptor *own = (struct descriptor *)timer;
    own->expired = true;
    own->count++;
    file_changed(own->file, POLLIN);
}

/* An interval that rang has gone on meanwhile. */
static void go_on(struct descriptor *own) {
    if (own->expired && own->timer.interval) {
        own->count += timer_forward(&own->timer) - 1;
        timer_arm(&own->timer, own->timer.at);
    }
    own->expired = false;
}

static long read(struct file *file, void *to, u64 size) {
    struct descriptor *own = file->object;
    const struct waiting waits = {
        .deadline = FOREVER, .what = "a timer that is not set", .on = file, .restarts = true};
    long error = 0;
    if (size < 8)
        return -EINVAL;
    alarms_look();
    while (!own->count && !error)
        error = file->flags & O_NONBLOCK ? -EAGAIN : park(&waits);
    if (error)
        return error;
    go_on(own);
    u64 count = own->count;
    own->count = 0;
    *(u64 *)to = count;
    return 8;
}

static u32 poll(struct file *file) {
    const struct descriptor *own = file->object;
    return own->count ? POLLIN : 0;
}

static void release(struct file *file) {
    struct descriptor *own = file->object;
    timer_disarm(&own->timer);
    heap_free(own);
}

static const struct file_ops timerfd_ops = {
    .read = read, .poll = poll, .stat = anonymous_stat, .seek = anonymous_seek, .release = release};

long sys_timerfd_create(long clock, long flags) {
    clock = (s32)clock;
    if (flags & ~(O_CLOEXEC | O_NONBLOCK) ||
        (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != REALTIME_ALARM &&
         clock != BOOTTIME && clock != BOOTTIME_ALARM))
        return -EINVAL;
    struct descriptor *own = heap_alloc(sizeof *own);
    struct file *file =
        own ? file_new(&timerfd_ops, O_RDWR | ((u32)flags & O_NONBLOCK), own) : NULL;
    if (!file) {
        heap_free(own);
        return -ENOMEM;
    }
    *own = (struct descriptor){.timer = {.rings = rings}, .file = file, .clock = clock};
    return fd_install(file, 0, flags & O_CLOEXEC);
}

/* The clock of a guest is never set, so nothing is there to cancel on. */
long sys_timerfd_settime(long fd, long flags, long from, long to) {
    const struct linux_itimerspec spec = *(const struct linux_itimerspec *)from;
    if (flags & ~(TFD_ABSTIME | TFD_CANCEL_ON_SET) || !timer_is_valid(&spec))
        return -EINVAL;
    const struct file *file = fd_use((s32)fd);
    if (!file || file->ops != &timerfd_ops)
        return file ? -EINVAL : -EBADF;
    struct descriptor *own = file->object;
    alarms_look();
    if (own->expired && own->timer.interval)
        timer_forward(&own->timer), timer_arm(&own->timer, own->timer.at);
    const struct linux_itimerspec before = timer_left(&own->timer);
    timer_set(&own->timer, own->clock, flags & TFD_ABSTIME, &spec);
    own->expired = false, own->count = 0;
    if (to)
        *(struct linux_itimerspec *)to = before;
    return 0;
}

long sys_timerfd_gettime(long fd, long to) {
    const struct file *file = fd_use((s32)fd);
    if (!file || file->ops != &timerfd_ops)
        return file ? -EINVAL : -EBADF;
    struct descriptor *own = file->object;
    alarms_look();
    if (own->timer.interval)
        go_on(own);
    *(struct linux_itimerspec *)to = timer_left(&own->timer);
    return 0;
}
