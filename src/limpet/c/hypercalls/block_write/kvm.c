/* block_write on kvm: bytes within the capacity that was fixed at start. */
static void serve_block_write(struct block_write *block) {
    const struct mft_entry *device = block_within(block->device, block->offset, block->length);
    const void *memory = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    bool fits = device && block->length <= MAX_TRANSFER;
    block->result = fits ? -HOST_EFAULT : -HOST_EINVAL;
    if (fits && memory)
        block->result = host4(NR_PWRITE64, (long)device->handle, (long)memory, (long)block->length,
                              (long)block->offset);
}
