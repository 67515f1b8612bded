/* block_read on kvm: bytes within the capacity that was fixed at start. */
static void serve_block_read(struct block_read *block) {
    const struct mft_entry *device = device_at(block->device, DEVICE_BLOCK);
    const void *memory = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = -HOST_EINVAL;
    if (!device || block->length > MAX_TRANSFER || block->offset > device->capacity ||
        block->length > device->capacity - block->offset)
        return;
    block->result = -HOST_EFAULT;
    if (memory)
        block->result = host4(NR_PREAD64, (long)device->handle, (long)memory, (long)block->length,
                              (long)block->offset);
}
