/* volume_link in a process. */
static void process_volume_link(struct volume_link *block) {
    block->result = HOST_STUB(volume_link, readlinkat, NR_READLINKAT, (long)block->slot, NO_NAME,
                              (long)block->address, (long)block->length, 0, 0);
}
