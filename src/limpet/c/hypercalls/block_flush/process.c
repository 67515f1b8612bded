/* block_flush in a process. */
static void process_block_flush(struct block_flush *block) {
    block->result = HOST_STUB(block_flush, fdatasync, NR_FDATASYNC,
                              (long)(DEVICE_FD + block->device), 0, 0, 0, 0, 0);
}
