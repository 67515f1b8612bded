/* Futexes: what every program has of them.  What is between threads is in waiters.c. */
#include "parts/threads/threads.h"

static bool has_time(u32 command) {
    return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
           command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI;
}

static bool by_realtime(long operation) {
    u32 command = operation & FUTEX_COMMAND;
    return command == FUTEX_LOCK_PI || operation & FUTEX_REALTIME;
}

static s64 deadline_of(long operation, s64 time) {
    if ((operation & FUTEX_COMMAND) == FUTEX_WAIT)
        return deadline_after(clock_monotonic(), time);
    if (by_realtime(operation))
        time -= (s64)(clock_realtime() - clock_monotonic());
    return MAX(time, 0);
}

static long wait_alone(const struct futex_call *call) {
    const struct waiting waits = {.deadline = call->deadline,
                                  .what = "another thread, and has only one"};
    return *(volatile u32 *)call->address == call->value ? park(&waits) : -EAGAIN;
}

static long in_one_thread(const struct futex_call *call) {
    switch (call->command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return wait_alone(call);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
        return 0;
    default:
        return -ENOSYS;
    }
}

static long serve(const struct futex_call *call, long operation) {
    u32 command = call->command;
    if (operation & FUTEX_REALTIME && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI2 &&
        command != FUTEX_WAIT_REQUEUE_PI)
        return -ENOSYS;
    if (command <= FUTEX_LOCK_PI2 && call->address % sizeof(u32))
        return -EINVAL;
    bool masked = command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET;
    if (masked && !call->third)
        return -EINVAL;
    return scheduler ? scheduler->futex(call) : in_one_thread(call);
}

/* A wake finds only those that wait with the same flag: they are told apart by bit 0. */
static u64 key_of(u64 address, long operation) {
    return address | !(operation & FUTEX_PRIVATE);
}

static struct futex_call read_call(long address, long operation, long value, long count, long other,
                                   long third) {
    return (struct futex_call){.address = (u64)address,
                               .other = (u64)other,
                               .key = key_of((u64)address, operation),
                               .other_key = key_of((u64)other, operation),
                               .command = (u32)operation & FUTEX_COMMAND,
                               .value = (u32)value,
                               .third = (u32)third,
                               .count = (s32)count,
                               .deadline = FOREVER};
}

/* In a program that never waits with a timeout: what locks do. */
long sys_futex_untimed(long address, long operation, long value, long timeout, long other,
                       long third) {
    const struct futex_call call = read_call(address, operation, value, timeout, other, third);
    return serve(&call, operation);
}

long sys_futex(long address, long operation, long value, long timeout, long other, long third) {
    struct futex_call call = read_call(address, operation, value, timeout, other, third);
    if (timeout && has_time(call.command)) {
        s64 time = time_to_wait((const struct linux_timespec *)timeout);
        if (time < 0)
            return -EINVAL;
        call.deadline = deadline_of(operation, time);
    }
    return serve(&call, operation);
}
