/* There are no children to wait for. */
#include "parts/fd/fd.h"

enum { WNOHANG = 1, WSTOPPED = 2, WEXITED = 4, WCONTINUED = 8, WNOWAIT = 0x1000000 };
enum { P_ALL, P_PID, P_PGID, P_PIDFD };
#define OF_CLONES 0xe0000000U /* __WNOTHREAD, __WALL, __WCLONE */
#define LOWEST (-0x7fffffff - 1)

long sys_wait4(long pid, long status, long options, long usage) {
    (void)status, (void)usage;
    if ((u32)options & ~(OF_CLONES | WNOHANG | WSTOPPED | WCONTINUED))
        return -EINVAL;
    return (s32)pid == LOWEST ? -ESRCH : -ECHILD;
}

long sys_waitid(long which, long pid, long info, long options, long usage) {
    (void)info, (void)usage;
    u32 given = (u32)options;
    if (given & ~(OF_CLONES | WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED) ||
        !(given & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    switch ((s32)which) {
    case P_ALL:
        return -ECHILD;
    case P_PID:
        return (s32)pid <= 0 ? -EINVAL : -ECHILD;
    case P_PGID:
        return (s32)pid < 0 ? -EINVAL : -ECHILD;
    case P_PIDFD: /* no descriptor here is one of a process */
        return (s32)pid < 0 ? -EINVAL : -EBADF;
    default:
        return -EINVAL;
    }
}
