/* Becoming other users and groups: what is allowed from where, and what it leaves. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The capabilities that mean something in a guest. */
#define SHOWN 0x5ffU

static void tell(const char *what, long result) {
    uid_t users[3];
    gid_t groups[3], others[8] = {0};
    int error = errno;
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{0}};
    getresuid(&users[0], &users[1], &users[2]);
    getresgid(&groups[0], &groups[1], &groups[2]);
    int count = getgroups(8, others);
    syscall(SYS_capget, &header, sets);
    printf("%s %ld %d: %u %u %u/%d %u %u %u/%d", what, result, result < 0 ? error : 0, users[0],
           users[1], users[2], setfsuid(-1), groups[0], groups[1], groups[2], setfsgid(-1));
    printf(" %u %u groups", geteuid(), getegid());
    for (int i = 0; i < count; i++)
        printf(" %u", others[i]);
    printf(" caps %x %x %x\n", sets[0].effective & SHOWN, sets[0].permitted & SHOWN,
           sets[0].inheritable & SHOWN);
}

#define CALL(name, ...)                                                                            \
    do {                                                                                           \
        errno = 0;                                                                                 \
        tell(#name " " #__VA_ARGS__, syscall(SYS_##name, __VA_ARGS__));                            \
    } while (0)

static long drop(unsigned effective, unsigned permitted, unsigned inheritable) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{effective, permitted, inheritable}, {0, 0, 0}};
    return syscall(SYS_capset, &header, sets);
}

static void as_root(void) {
    const gid_t many[] = {9, 3, 7, 3};
    CALL(setgroups, 4L, many);
    CALL(setgroups, 65537L, many);
    CALL(setgroups, -1L, many);
    CALL(getgroups, 3L, many);
    CALL(getgroups, -1L, many);
    CALL(setgid, -1L);
    CALL(setuid, -1L);
    CALL(setresuid, -1L, 1000L, -1L);
    CALL(setgroups, 0L, 0L);
    CALL(setgid, 5L);
    CALL(setuid, 1001L);
    CALL(setfsuid, 77L);
    CALL(setfsuid, 0L);
    CALL(setfsuid, 1000L);
    CALL(setresuid, -1L, 0L, -1L);
    CALL(setfsuid, 77L);
    CALL(setfsgid, 78L);
    CALL(setfsuid, 0L);
    CALL(setfsgid, 0L);
    CALL(setregid, 5L, 6L);
    CALL(setregid, -1L, 7L);
    CALL(setresgid, 8L, 9L, 10L);
    CALL(setresuid, 20L, -1L, -1L);
    CALL(setreuid, -1L, 20L);
    CALL(setresuid, -1L, 0L, 0L);
    CALL(setreuid, 0L, 0L);
}

static void keeping(void) {
    printf("keep %d\n", prctl(PR_SET_KEEPCAPS, 1));
    CALL(setresuid, 30L, 31L, 32L);
    printf("keeps %d\n", prctl(PR_GET_KEEPCAPS));
    tell("capset", drop(SHOWN, SHOWN, 0));
    CALL(setuid, 40L);
    tell("more", drop(SHOWN, SHOWN | 1U << 21, 0));
    tell("less", drop(0xc0, 0xc0, 0xc0));
    CALL(setresuid, 0L, 0L, 0L);
    printf("keep %d\n", prctl(PR_SET_KEEPCAPS, 0));
    CALL(setresuid, 50L, 51L, 52L);
}

static void without(void) {
    for (long id = 48; id < 54; id++) {
        CALL(setresuid, -1L, id, -1L);
        CALL(setreuid, id, -1L);
        CALL(setreuid, -1L, id);
        CALL(setfsuid, id);
    }
    CALL(setresuid, 0L, -1L, -1L);
    CALL(setuid, 0L);
    CALL(setuid, 52L);
    CALL(setgroups, 0L, 0L);
    CALL(setgid, 10L);
    CALL(setgid, 11L);
    CALL(setresgid, 10L, 10L, 10L);
    CALL(setresgid, -1L, 8L, -1L);
    tell("any", drop(1, 1, 0));
    tell("none", drop(0, 0, 0));
}

int main(void) {
    as_root();
    keeping();
    without();
    return 0;
}
