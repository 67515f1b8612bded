/* tick on kvm. */
static void serve_tick(struct tick *block) {
    block->result = host3(NR_SETITIMER, TICK_CLOCK, TICK_TIMER, 0);
}
