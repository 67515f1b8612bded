/* volume_read in a process. */
static void process_volume_read(struct volume_read *block) {
    block->result = HOST_STUB(volume_read, pread64, NR_PREAD64, (long)block->slot,
                              (long)block->address, (long)block->length, (long)block->offset, 0, 0);
}
