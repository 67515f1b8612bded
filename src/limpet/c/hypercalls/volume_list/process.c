/* volume_list in a process. */
static void process_volume_list(struct volume_list *block) {
    block->result = HOST_STUB(volume_list, getdents64, NR_GETDENTS64, (long)block->slot,
                              (long)block->address, (long)block->length, 0, 0, 0);
}
