/* net_write on kvm: one frame. */
static void serve_net_write(struct net_write *block) {
    const struct mft_entry *device = net_device(block->device);
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    bool fits = device && frame_fits(device, block->length);
    block->result = fits ? -HOST_EFAULT : -HOST_EINVAL;
    if (fits && from)
        block->result = host3(NR_WRITE, (long)device->handle, (long)from, (long)block->length);
}
