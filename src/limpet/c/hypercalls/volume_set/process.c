/* volume_set in a process. */
static void process_volume_set(struct volume_set *block) {
    long slot = (long)block->slot;
    if (block->what == 0)
        block->result =
            HOST_STUB(volume_set, ftruncate, NR_FTRUNCATE, slot, block->offset, 0, 0, 0, 0);
    else if (block->what == 1)
        block->result = HOST_STUB(volume_set, fallocate, NR_FALLOCATE, slot, (long)block->mode,
                                  block->offset, block->length, 0, 0);
    else if (block->what == 2)
        block->result = HOST_STUB(volume_set, fsync, NR_FSYNC, slot, 0, 0, 0, 0, 0);
    else
        block->result = HOST_STUB(volume_set, fdatasync, NR_FDATASYNC, slot, 0, 0, 0, 0, 0);
}
