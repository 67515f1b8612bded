/* volume_tell in a process. */
static void process_volume_tell(struct volume_tell *block) {
    long slot = (long)block->slot, to = (long)block->bytes;
    if (block->what == 0)
        block->result = HOST_STUB(volume_tell, fstat, NR_FSTAT, slot, to, 0, 0, 0, 0);
    else if (block->what == 1)
        block->result = HOST_STUB(volume_tell, fstatfs, NR_FSTATFS, slot, to, 0, 0, 0, 0);
    else
        block->result = HOST_STUB(volume_tell, lseek, NR_LSEEK, slot, block->offset,
                                  (long)(block->what - 2), 0, 0, 0);
}
