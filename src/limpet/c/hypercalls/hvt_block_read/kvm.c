/* block_read: whole sectors within the capacity that was fixed at start. */
static void serve_hvt_block_read(struct hvt_block_read *block) {
    const struct mft_entry *device = block_device(block->handle, block->offset, block->len);
    block->ret = SOLO5_EINVAL;
    if (!device)
        return;
    u64 to = (u64)guest_buffer(block->data, block->len);
    long got =
        host4(NR_PREAD64, (long)device->handle, (long)to, (long)block->len, (long)block->offset);
    block->ret = bytes_brought(got) == (long)block->len ? SOLO5_OK : SOLO5_EUNSPEC;
}
