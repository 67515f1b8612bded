/* --timeout: an alarm, whose handler says so and ends the monitor. */
#include "stub.h"

HOST_STUB_DEFINE(timeout, write)
HOST_STUB_DEFINE(timeout, exit_group)

static void time_is_up(int signal) {
    static const char line[] = "limpet: the guest ran longer than its --timeout\n";
    (void)signal;
    HOST_STUB(timeout, write, NR_WRITE, 2, (long)line, sizeof line - 1, 0, 0, 0);
    HOST_STUB(timeout, exit_group, NR_EXIT_GROUP, EXIT_TIMEOUT, 0, 0, 0, 0, 0);
}

static void start_timeout(void) {
    const u64 action[4] = {(u64)time_is_up, 0x0c000004 | 0x40000000, (u64)time_is_up, 0};
    const s64 timer[4] = {0, 0, TIMEOUT_MS / 1000, TIMEOUT_MS % 1000 * 1000};
    host4(NR_RT_SIGACTION, SIGALRM, (long)action, 0, 8);
    host3(NR_SETITIMER, 0, (long)timer, 0);
}
