/* block_flush on kvm. */
static void serve_block_flush(struct block_flush *block) {
    const struct mft_entry *device = device_at(block->device, DEVICE_BLOCK);
    block->result = device ? host3(NR_FDATASYNC, (long)device->handle, 0, 0) : -HOST_EINVAL;
}
