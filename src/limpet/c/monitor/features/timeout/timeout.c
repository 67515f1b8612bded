/*
 * --timeout: an alarm, whose handler says so and ends the monitor.  The guest may have
 * filled standard error, so that the line waits for a reader: a second alarm then ends
 * the monitor as it is.
 */
#include "stub.h"

HOST_STUB_DEFINE(timeout, write)
HOST_STUB_DEFINE(timeout, exit_group)

enum { SECOND_ALARM = 1 };

static void time_is_up(int signal) {
    static const char line[] = "limpet: the guest ran longer than its --timeout\n";
    (void)signal;
    HOST_STUB(timeout, write, NR_WRITE, STDERR, (long)line, sizeof line - 1, 0, 0, 0);
    HOST_STUB(timeout, exit_group, NR_EXIT_GROUP, EXIT_TIMEOUT, 0, 0, 0, 0, 0);
}

static void start_timeout(void) {
    /* SA_RESETHAND, SA_NODEFER, SA_ONSTACK, SA_RESTORER, SA_SIGINFO; and no tick on top of the
     * handler: it would lead out of there, into code of the guest's */
    const u64 action[4] = {(u64)time_is_up, 0xcc000004, (u64)time_is_up, 1UL << (TICK_SIGNAL - 1)};
    const s64 timer[4] = {SECOND_ALARM, 0, TIMEOUT_MS / 1000, TIMEOUT_MS % 1000 * 1000};
    const u64 alarm = 1UL << (SIGALRM - 1); /* whoever started the bundle may have blocked it */
    host4(NR_RT_SIGPROCMASK, SIG_UNBLOCK, (long)&alarm, 0, 8);
    host4(NR_RT_SIGACTION, SIGALRM, (long)action, 0, 8);
    host3(NR_SETITIMER, 0, (long)timer, 0);
}
