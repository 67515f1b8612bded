/* block_read in a process: the stub is the system call itself, and the filter checks that
 * the bytes are within the capacity. */
static void process_block_read(struct block_read *block) {
    block->result = HOST_STUB(block_read, pread64, NR_PREAD64, (long)(DEVICE_FD + block->device),
                              (long)block->address, (long)block->length, (long)block->offset, 0, 0);
}
