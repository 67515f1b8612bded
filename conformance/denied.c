/* Preloaded into a program on Linux, it takes from it what a Limpet guest does not have: other
 * processes and programs, which are ENOSYS as in the library OS, sockets of other families than its
 * own, an administrator's rights and, where it may leave it, the host's network.  So a suite's
 * results here and in a guest compare what both can do, and the host's clock stays as it is. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define FAIL_IF(number, error)                                                                     \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),                                             \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define DENY_IF(number) FAIL_IF(number, ENOSYS)
#define ADMINISTERS(number) FAIL_IF(number, EPERM)

static struct sock_filter rules[] = {
    LOAD(nr),
    DENY_IF(SYS_fork),
    DENY_IF(SYS_vfork),
    DENY_IF(SYS_execve),
    DENY_IF(SYS_execveat),
    DENY_IF(SYS_clone3), /* its flags are in memory; C libraries then take clone */
    ADMINISTERS(SYS_clock_settime),
    ADMINISTERS(SYS_settimeofday),
    ADMINISTERS(SYS_adjtimex),
    ADMINISTERS(SYS_clock_adjtime),
    ADMINISTERS(SYS_sethostname),
    ADMINISTERS(SYS_setdomainname),
    ADMINISTERS(SYS_setgroups),
    ADMINISTERS(SYS_mount),
    ADMINISTERS(SYS_umount2),
    ADMINISTERS(SYS_chroot),
    ADMINISTERS(SYS_reboot),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 7),
    LOAD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
    LOAD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* A network of its own, which has only a loopback. */
static void leave_network(void) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET))
        return;
    int to = socket(AF_INET, SOCK_DGRAM, 0);
    if (to < 0 || ioctl(to, SIOCSIFFLAGS, &loopback) || close(to))
        abort();
}

__attribute__((constructor)) static void deny(void) {
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    unsetenv("LD_PRELOAD");
    leave_network();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program))
        abort();
}
