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
    if (!guest_time) /* it asks no clock: park gives -ETIMEDOUT whatever this is */
        return 0;
    if ((operation & FUTEX_COMMAND) == FUTEX_WAIT)
        return deadline_after(guest_time->monotonic(), time);
    if (operation & FUTEX_REALTIME)
        return time - (s64)(guest_time->realtime() - guest_time->monotonic());
    return time;
}

static long futex_wait(long address, long operation, long value, long timeout) {
    struct waiting waits = {.deadline = FOREVER, .what = "another thread, and has only one"};
    if (*(volatile u32 *)address != (u32)value)
        return -EAGAIN;
    if (timeout) {
        s64 time = time_to_wait((const struct linux_timespec *)timeout);
        if (time < 0)
            return -EINVAL;
        waits.deadline = MAX(deadline_of(operation, time), 0);
    }
    return park(&waits);
}

long sys_futex(long address, long operation, long value, long timeout, long other, long third) {
    (void)other, (void)third;
    switch (operation & FUTEX_COMMAND) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return futex_wait(address, operation, value, timeout);
    default:
        return (operation & FUTEX_COMMAND) == FUTEX_WAKE ||
                       (operation & FUTEX_COMMAND) == FUTEX_WAKE_BITSET
                   ? 0
                   : -ENOSYS;
    }
}
