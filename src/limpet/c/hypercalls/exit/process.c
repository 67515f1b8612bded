/* exit in a process. */
static void process_exit(struct guest_exit *block) {
    HOST_STUB(exit, exit_group, NR_EXIT_GROUP, (long)(block->code & 0xff), 0, 0, 0, 0, 0);
}
