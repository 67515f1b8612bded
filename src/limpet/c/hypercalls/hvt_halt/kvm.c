/* halt: the guest's status is ours. */
static _Noreturn void serve_hvt_halt(struct hvt_halt *block) {
    for (;;)
        host3(NR_EXIT_GROUP, block->exit_status & EXIT_MOST, 0, 0);
}
