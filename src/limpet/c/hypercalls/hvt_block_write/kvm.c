/* block_write: whole sectors within the capacity that was fixed at start. */
static void serve_hvt_block_write(struct hvt_block_write *block) {
    const struct mft_entry *device = block_device(block->handle, block->offset, block->len);
    block->ret = SOLO5_EINVAL;
    if (!device)
        return;
    u64 from = (u64)guest_memory(block->data, block->len);
    long got =
        host4(NR_PWRITE64, (long)device->handle, (long)from, (long)block->len, (long)block->offset);
    block->ret = bytes_taken(got) == (long)block->len ? SOLO5_OK : SOLO5_EUNSPEC;
}
