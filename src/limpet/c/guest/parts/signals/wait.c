/* Waiting for signals. */
#include "core/signals.h"
#include "linux.h"

static long wait_for_signal(s64 deadline) {
    const struct waiting waits = {.deadline = deadline, .what = "a signal that nobody can send"};
    long woken;
    do
        woken = park(&waits);
    while (!woken);
    return woken;
}

long sys_rt_sigsuspend(long set, long size) {
    if (size != 8)
        return -EINVAL;
    signals_block_for_wait(*(const u64 *)set);
    return signals_after_wait(wait_for_signal(FOREVER));
}

long sys_pause(void) {
    return wait_for_signal(FOREVER);
}

/* The number of one out of `set`, or why there is none. */
static long take_or_wait(u64 set, s64 time, struct linux_siginfo *info) {
    int number = signal_take(set, info);
    if (number || !time)
        return number ? number : -EAGAIN;
    current->awaited = set;
    long woken = wait_for_signal(time < 0 ? FOREVER : deadline_after(clock_monotonic(), time));
    current->awaited = 0;
    number = signal_take(set, info);
    return number ? number : woken == -ETIMEDOUT ? -EAGAIN : woken;
}

long sys_rt_sigtimedwait(long set, long info, long timeout, long size) {
    struct linux_siginfo found;
    if (size != 8)
        return -EINVAL;
    u64 wanted = *(const u64 *)set & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
    s64 time = timeout ? time_to_wait((const struct linux_timespec *)timeout) : FOREVER;
    if (timeout && time < 0)
        return -EINVAL;
    long number = take_or_wait(wanted, time, &found);
    if (number > 0 && info)
        *(struct linux_siginfo *)info = found;
    return number;
}
