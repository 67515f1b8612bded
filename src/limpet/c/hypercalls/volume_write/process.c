/* volume_write in a process. */
static void process_volume_write(struct volume_write *block) {
    const u64 vector[2] = {block->address, block->length};
    block->result = HOST_STUB(volume_write, pwritev2, NR_PWRITEV2, (long)block->slot, (long)vector,
                              1, (long)block->offset, 0, (long)block->flags);
}
