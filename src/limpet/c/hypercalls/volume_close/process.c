/* volume_close in a process. */
static void process_volume_close(struct volume_close *block) {
    block->result = HOST_STUB(volume_close, close_range, NR_CLOSE_RANGE, (long)block->slot,
                              (long)block->last, 0, 0, 0, 0);
}
