/*
 * The process backend: the guest runs in this very process, behind a filter.
 *
 * Trusted: the filter, and nothing else once it stands.  It lets a host system call
 * through only from the instruction pointers of the hypercall stubs, which are in
 * memory that cannot be written.  Everything else raises SIGSYS into the library OS,
 * which is the guest's own; this code never runs again.
 */
#include "enter.h"

static const u64 faults = 0x400004d8; /* ILL TRAP BUS FPE SEGV SYS */

static _Noreturn void run_process(void) {
    static const u64 action[4] = {TRAP_ENTRY_PROCESS, 0x4c000004, TRAP_ENTRY_PROCESS, 0};
    static const struct filter filter = {FILTER_PROCESS_LENGTH, FILTER_PROCESS_AT};
    BOOT->backend = BACKEND_PROCESS;
    for (u64 left = faults; left; left &= left - 1)
        host4(NR_RT_SIGACTION, __builtin_ctzl(left) + 1, (long)action, 0, 8);
    host4(NR_RT_SIGPROCMASK, SIG_UNBLOCK, (long)&faults, 0, 8); /* whatever the starter blocks */
    host3(NR_SIGALTSTACK, (long)(const u64[3]){SIGNAL_STACK, 0, SIGNAL_STACK_SIZE}, 0, 0);
    raise_walls(SCOPES);
    enter(&filter, MONITOR_END, GUEST_START, 0, 0); /* the library OS has a stack of its own */
}
