/* In a process a tick is a signal, which arrives where faults do. */
static void hear_ticks(void) {
    /* SA_SIGINFO, SA_RESTORER, SA_ONSTACK, SA_RESTART, SA_NODEFER */
    static const u64 action[4] = {TRAP_ENTRY_PROCESS, 0x5c000004, TRAP_ENTRY_PROCESS, 0};
    static const u64 tick = 1UL << (TICK_SIGNAL - 1);
    host4(NR_RT_SIGACTION, TICK_SIGNAL, (long)action, 0, 8);
    host4(NR_RT_SIGPROCMASK, SIG_UNBLOCK, (long)&tick, 0, 8);
}
