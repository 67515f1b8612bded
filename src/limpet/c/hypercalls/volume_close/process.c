/* volume_close in a process. */
static void process_volume_close(struct volume_close *block) {
    block->result = HOST_STUB(volume_close, close, NR_CLOSE, (long)block->slot, 0, 0, 0, 0, 0);
}
