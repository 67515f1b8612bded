/* net_read on kvm. */
static void serve_net_read(struct net_read *block) {
    const struct mft_entry *device = net_device(block->device);
    const void *to = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = !device || block->length > FRAME_MOST ? -HOST_EINVAL : -HOST_EFAULT;
    if (to && block->result == -HOST_EFAULT)
        block->result = host3(NR_READ, (long)device->handle, (long)to, (long)block->length);
}
