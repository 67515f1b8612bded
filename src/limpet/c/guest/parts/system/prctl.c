/* prctl(2): what a process says of itself. */
#include "core/thread.h"
#include "linux.h"
#include "parts/system/identity.h"
#include "parts/system/name.h"
#include "x86_64/signal_abi.h"

enum {
    PR_SET_PDEATHSIG = 1,
    PR_GET_PDEATHSIG = 2,
    PR_GET_DUMPABLE = 3,
    PR_SET_DUMPABLE = 4,
    PR_GET_KEEPCAPS = 7,
    PR_SET_KEEPCAPS = 8,
    PR_GET_TIMING = 13,
    PR_SET_TIMING = 14,
    PR_SET_NAME = 15,
    PR_GET_NAME = 16,
    PR_GET_SECCOMP = 21,
    PR_CAPBSET_READ = 23,
    PR_CAPBSET_DROP = 24,
    PR_GET_SECUREBITS = 27,
    PR_SET_SECUREBITS = 28,
    PR_SET_TIMERSLACK = 29,
    PR_GET_TIMERSLACK = 30,
    PR_SET_CHILD_SUBREAPER = 36,
    PR_GET_CHILD_SUBREAPER = 37,
    PR_SET_NO_NEW_PRIVS = 38,
    PR_GET_NO_NEW_PRIVS = 39,
    PR_GET_TID_ADDRESS = 40,
    PR_SET_THP_DISABLE = 41,
    PR_GET_THP_DISABLE = 42,
    PR_CAP_AMBIENT = 47
};

enum { AMBIENT_IS_SET = 1, AMBIENT_RAISE, AMBIENT_LOWER, AMBIENT_CLEAR_ALL };

#define KEEP_CAPABILITIES 16 /* SECBIT_KEEP_CAPS */
#define USUAL_SLACK 50000UL  /* nanoseconds */

static struct {
    u64 slack;
    s32 death_signal, reaps;
    bool not_dumpable, no_new_privileges, no_huge_pages;
} said = {.slack = USUAL_SLACK};

static long name_prctl(long option, long argument) {
    char name[THREAD_NAME] = {0};
    if (option == PR_GET_NAME) {
        thread_name(current, name);
        memcpy((void *)argument, name, sizeof name);
        return 0;
    }
    for (int i = 0; i < THREAD_NAME - 1 && ((const char *)argument)[i]; i++)
        name[i] = ((const char *)argument)[i];
    thread_set_name(current, name);
    return 0;
}

static long ambient_prctl(long what, long which) {
    u64 bit = 1ULL << which;
    if (what == AMBIENT_IS_SET)
        return identity.ambient & bit ? 1 : 0;
    if (what == AMBIENT_RAISE && !(identity.permitted & identity.inheritable & bit))
        return -EPERM;
    identity.ambient = what == AMBIENT_RAISE ? identity.ambient | bit : identity.ambient & ~bit;
    return 0;
}

static long capability_prctl(long option, long a, long b, long c, long d) {
    bool exists = (u64)(option == PR_CAP_AMBIENT ? b : a) <= LAST_CAPABILITY;
    switch (option) {
    case PR_CAPBSET_READ:
        return exists ? (long)(identity.bounding >> a & 1) : -EINVAL;
    case PR_CAPBSET_DROP:
        if (!capable(CAP_SETPCAP))
            return -EPERM;
        if (exists)
            identity.bounding &= ~(1ULL << a);
        return exists ? 0 : -EINVAL;
    case PR_GET_SECUREBITS:
        return identity.keeps ? KEEP_CAPABILITIES : 0;
    case PR_SET_SECUREBITS:
        return -EPERM;
    default:
        if (a == AMBIENT_CLEAR_ALL && !b && !c && !d)
            return (long)(identity.ambient = 0);
        if (c || d || !exists || a < AMBIENT_IS_SET || a > AMBIENT_LOWER)
            return -EINVAL;
        return ambient_prctl(a, b);
    }
}

static long told(long option, long a, long b, long c, long d) {
    switch (option) {
    case PR_GET_PDEATHSIG:
        *(s32 *)a = said.death_signal;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        *(s32 *)a = said.reaps;
        return 0;
    case PR_GET_TID_ADDRESS:
        *(u64 *)a = current->clear_child_tid;
        return 0;
    case PR_GET_DUMPABLE:
        return !said.not_dumpable;
    case PR_GET_KEEPCAPS:
        return identity.keeps;
    case PR_GET_TIMERSLACK:
        return (long)said.slack;
    case PR_GET_NO_NEW_PRIVS:
        return a || b || c || d ? -EINVAL : said.no_new_privileges;
    case PR_GET_THP_DISABLE:
        return a || b || c || d ? -EINVAL : said.no_huge_pages;
    default: /* PR_GET_TIMING, PR_GET_SECCOMP */
        return 0;
    }
}

static long set(long option, long a, long b, long c, long d) {
    switch (option) {
    case PR_SET_PDEATHSIG:
        if ((u64)a >= SIGNALS)
            return -EINVAL;
        said.death_signal = (s32)a;
        return 0;
    case PR_SET_DUMPABLE:
        if ((u64)a > 1)
            return -EINVAL;
        said.not_dumpable = !a;
        return 0;
    case PR_SET_KEEPCAPS:
        if ((u64)a > 1)
            return -EINVAL;
        identity.keeps = a;
        return 0;
    case PR_SET_TIMERSLACK:
        said.slack = a ? (u64)a : USUAL_SLACK;
        return 0;
    case PR_SET_CHILD_SUBREAPER:
        said.reaps = a != 0;
        return 0;
    case PR_SET_NO_NEW_PRIVS:
        said.no_new_privileges |= a == 1 && !b && !c && !d;
        return a != 1 || b || c || d ? -EINVAL : 0;
    case PR_SET_THP_DISABLE:
        if (b || c || d)
            return -EINVAL;
        said.no_huge_pages = a != 0;
        return 0;
    default: /* PR_SET_TIMING */
        return a ? -EINVAL : 0;
    }
}

long sys_prctl(long option, long a, long b, long c, long d) {
    option = (s32)option;
    switch (option) {
    case PR_SET_NAME:
    case PR_GET_NAME:
        return name_prctl(option, a);
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
    case PR_GET_SECUREBITS:
    case PR_SET_SECUREBITS:
    case PR_CAP_AMBIENT:
        return capability_prctl(option, a, b, c, d);
    case PR_GET_PDEATHSIG:
    case PR_GET_CHILD_SUBREAPER:
    case PR_GET_TID_ADDRESS:
    case PR_GET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_GET_TIMERSLACK:
    case PR_GET_NO_NEW_PRIVS:
    case PR_GET_THP_DISABLE:
    case PR_GET_TIMING:
    case PR_GET_SECCOMP:
        return told(option, a, b, c, d);
    case PR_SET_PDEATHSIG:
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_SET_TIMERSLACK:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_THP_DISABLE:
    case PR_SET_TIMING:
        return set(option, a, b, c, d);
    default:
        return -EINVAL;
    }
}
