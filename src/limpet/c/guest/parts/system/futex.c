/* Futexes of a program with one thread: a wait can only end by its timeout. */
#include "core/park.h"
#include "libos.h"
#include "linux.h"

enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
    FUTEX_COMMAND = 0x7f,
    FUTEX_REALTIME = 0x100
};

static s64 deadline_of(long operation, s64 time) {
    if ((operation & FUTEX_COMMAND) == FUTEX_WAIT)
        return deadline_after(clock_monotonic(), time);
    if (operation & FUTEX_REALTIME)
        return time - (s64)(clock_realtime() - clock_monotonic());
    return time;
}

static long futex_wait(long address, long value, s64 deadline) {
    const struct waiting waits = {.deadline = deadline, .what = "another thread, and has only one"};
    return *(volatile u32 *)address == (u32)value ? park(&waits) : -EAGAIN;
}

/* In a program that never waits with a timeout: what locks do. */
long sys_futex_untimed(long address, long operation, long value, long timeout, long other,
                       long third) {
    (void)timeout, (void)other, (void)third;
    switch (operation & FUTEX_COMMAND) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return futex_wait(address, value, FOREVER);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
        return 0;
    default:
        return -ENOSYS;
    }
}

long sys_futex(long address, long operation, long value, long timeout, long other, long third) {
    bool waits = (operation & FUTEX_COMMAND) == FUTEX_WAIT ||
                 (operation & FUTEX_COMMAND) == FUTEX_WAIT_BITSET;
    if (!waits || !timeout || *(volatile u32 *)address != (u32)value)
        return sys_futex_untimed(address, operation, value, 0, other, third);
    s64 time = time_to_wait((const struct linux_timespec *)timeout);
    return time < 0 ? -EINVAL : futex_wait(address, value, MAX(deadline_of(operation, time), 0));
}
