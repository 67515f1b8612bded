/* Niceness: remembered, since nobody else is here to be nice to. */
#include "parts/system/own.h"

enum { PRIO_PROCESS, PRIO_PGRP, PRIO_USER };

static s32 nice_now;

static long who_is(long which, long who) {
    if ((u32)which > PRIO_USER)
        return -EINVAL;
    if ((u32)which == PRIO_USER)
        return who == 0 ? 0 : -ESRCH;
    if ((u32)which == PRIO_PGRP)
        return (s32)who == 0 || (s32)who == 1 ? 0 : -ESRCH;
    return own_thread(who);
}

long sys_getpriority(long which, long who) {
    long error = who_is(which, who);
    return error ? error : 20 - nice_now; /* as the kernel encodes it */
}

long sys_setpriority(long which, long who, long value) {
    long error = who_is(which, who);
    s32 wanted = MIN(MAX((s32)value, -20), 19);
    if (error)
        return error;
    if (wanted < nice_now)
        return -EACCES;
    nice_now = wanted;
    return 0;
}
