/* tick in a process. */
static void process_tick(struct tick *block) {
    block->result = HOST_STUB(tick, setitimer, NR_SETITIMER, TICK_CLOCK, TICK_TIMER, 0, 0, 0, 0);
}
