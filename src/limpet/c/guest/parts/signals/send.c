/* Signals that a program sends: to itself or to one of its threads, for there is nobody else. */
#include "core/signals.h"
#include "linux.h"

#define OWN_ID 1 /* getpid in a guest */

static bool taken(struct queued *queued, struct linux_siginfo *info) {
    (void)info; /* which is a copy */
    heap_free(queued);
    return true;
}

/* With all that is known of it.  Without memory a plain signal loses that, as on Linux; one
 * that a program counts on is refused. */
long signal_send_copy(struct thread *to, const struct linux_siginfo *info) {
    int number = info->signal;
    if (number == SIGKILL)
        guest_exit(SIGNAL_STATUS + SIGKILL);
    if (!number || number == SIGSTOP)
        return 0;
    struct queued *queued = heap_alloc(sizeof *queued);
    if (!queued && number >= SIGRTMIN && info->code != SI_USER)
        return -EAGAIN;
    if (queued)
        *queued = (struct queued){.info = *info, .taken = taken};
    if (!signal_send(to, number, queued))
        heap_free(queued);
    return 0;
}

static bool is_signal(long number) {
    return number >= 0 && number < SIGNALS;
}

static long send_plain(struct thread *to, long number, int code) {
    const struct linux_siginfo info = {.signal = (s32)number, .code = code, .pid = OWN_ID};
    return is_signal((s32)number) ? signal_send_copy(to, &info) : -EINVAL;
}

long sys_kill(long pid, long number) {
    if ((s32)pid > OWN_ID || (s32)pid < -OWN_ID)
        return -ESRCH;
    return send_plain(NULL, (s32)number, SI_USER);
}

long sys_tkill(long thread, long number) {
    if ((s32)thread <= 0)
        return -EINVAL;
    struct thread *to = thread_of((s32)thread);
    return to ? send_plain(to, (s32)number, SI_TKILL) : -ESRCH;
}

long sys_tgkill(long group, long thread, long number) {
    if ((s32)group <= 0)
        return -EINVAL;
    return (s32)group == OWN_ID ? sys_tkill(thread, number) : (s32)thread > 0 ? -ESRCH : -EINVAL;
}

static long send_told(struct thread *to, bool known, long number, long from) {
    struct linux_siginfo info = *(const struct linux_siginfo *)from;
    info.signal = (s32)number;
    if (!known)
        return info.code >= 0 || info.code == SI_TKILL ? -EPERM : -ESRCH;
    return is_signal((s32)number) ? signal_send_copy(to, &info) : -EINVAL;
}

long sys_rt_sigqueueinfo(long pid, long number, long info) {
    return send_told(NULL, (s32)pid == OWN_ID, number, info);
}

long sys_rt_tgsigqueueinfo(long group, long thread, long number, long info) {
    if ((s32)group <= 0 || (s32)thread <= 0)
        return -EINVAL;
    struct thread *to = thread_of((s32)thread);
    return send_told(to, (s32)group == OWN_ID && to, number, info);
}
