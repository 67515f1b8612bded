/* exit in a process. */
static void process_exit(struct guest_exit *block) {
    HOST_STUB(exit, exit_group, NR_EXIT_GROUP, (long)(block->code & EXIT_MOST),
              (long)block->registers, 0, 0, 0, 0);
}
