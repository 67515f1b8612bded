/* Who the program is: process 1, thread 1, user 0, alone in its world. */
#include "libos.h"
#include "linux.h"

#define OWN 1

long sys_getpid(void) {
    return OWN;
}

long sys_getppid(void) {
    return 0;
}

long sys_getuid(void) {
    return 0;
}

long sys_geteuid(void) {
    return 0;
}

long sys_getgid(void) {
    return 0;
}

long sys_getegid(void) {
    return 0;
}

static long three_zeros(long a, long b, long c) {
    *(u32 *)a = *(u32 *)b = *(u32 *)c = 0;
    return 0;
}

long sys_getresuid(long real, long effective, long saved) {
    return three_zeros(real, effective, saved);
}

long sys_getresgid(long real, long effective, long saved) {
    return three_zeros(real, effective, saved);
}

long sys_getgroups(long size, long to) {
    (void)to;
    return (s32)size < 0 ? -EINVAL : 0;
}

/* There is one user: changing to another is refused, staying is fine. */
static long stay(long id) {
    return (u32)id == 0 || (u32)id == ~0U ? 0 : -EPERM;
}

long sys_setuid(long id) {
    return (u32)id == ~0U ? -EINVAL : stay(id);
}

long sys_setgid(long id) {
    return sys_setuid(id);
}

long sys_setreuid(long real, long effective) {
    return stay(real) ? -EPERM : stay(effective);
}

long sys_setregid(long real, long effective) {
    return sys_setreuid(real, effective);
}

long sys_setresuid(long real, long effective, long saved) {
    return stay(real) || stay(effective) ? -EPERM : stay(saved);
}

long sys_setresgid(long real, long effective, long saved) {
    return sys_setresuid(real, effective, saved);
}

long sys_setgroups(long size, long from) {
    (void)from;
    return size == 0 ? 0 : -EPERM;
}

long sys_setfsuid(long id) {
    (void)id;
    return 0;
}

long sys_setfsgid(long id) {
    (void)id;
    return 0;
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
