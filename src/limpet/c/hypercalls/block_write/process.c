/* block_write in a process: the stub is the system call itself, and the filter checks that
 * the bytes are within the capacity. */
static void process_block_write(struct block_write *block) {
    block->result = HOST_STUB(block_write, pwrite64, NR_PWRITE64, (long)(DEVICE_FD + block->device),
                              (long)block->address, (long)block->length, (long)block->offset, 0, 0);
}
