/* Who the program is: process 1, thread 1, and user 0 until it says otherwise. */
#include "libos.h"
#include "linux.h"
#include "parts/system/identity.h"

#define OWN 1

struct identity identity = {
    .permitted = CAPABILITIES, .effective = CAPABILITIES, .bounding = CAPABILITIES};

long sys_getpid(void) {
    return OWN;
}

long sys_getppid(void) {
    return 0;
}

long sys_getuid(void) {
    return identity.users[REAL];
}

long sys_geteuid(void) {
    return identity.users[EFFECTIVE];
}

long sys_getgid(void) {
    return identity.groups[REAL];
}

long sys_getegid(void) {
    return identity.groups[EFFECTIVE];
}

static long tell_three(const u32 *ids, long real, long effective, long saved) {
    *(u32 *)real = ids[REAL];
    *(u32 *)effective = ids[EFFECTIVE];
    *(u32 *)saved = ids[SAVED];
    return 0;
}

long sys_getresuid(long real, long effective, long saved) {
    return tell_three(identity.users, real, effective, saved);
}

long sys_getresgid(long real, long effective, long saved) {
    return tell_three(identity.groups, real, effective, saved);
}

long sys_getgroups(long size, long to) {
    if ((s32)size < 0 || (size && (u32)size < identity.other_count))
        return -EINVAL;
    if (size)
        memcpy((void *)to, identity.others, identity.other_count * sizeof(u32));
    return identity.other_count;
}

static long own_process(long pid) {
    return (s32)pid == 0 || (s32)pid == OWN ? OWN : -ESRCH;
}

long sys_getpgrp(void) {
    return OWN;
}

long sys_getpgid(long pid) {
    return own_process(pid);
}

long sys_getsid(long pid) {
    return own_process(pid);
}

long sys_setpgid(long pid, long group) {
    if ((s32)group < 0)
        return -EINVAL;
    return own_process(pid) < 0 ? -ESRCH : (s32)group == 0 || (s32)group == OWN ? 0 : -EPERM;
}

long sys_setsid(void) {
    return OWN;
}
