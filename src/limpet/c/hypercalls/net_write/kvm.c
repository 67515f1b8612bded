/* net_write on kvm: one frame of at most the interface's MTU and an Ethernet header. */
static void serve_net_write(struct net_write *block) {
    const struct mft_entry *device = net_device(block->device);
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    bool fits = device && block->length <= net_mtu(device) + ETHERNET_HEADER;
    block->result = fits ? -HOST_EFAULT : -HOST_EINVAL;
    if (fits && from)
        block->result = host3(NR_WRITE, (long)device->handle, (long)from, (long)block->length);
}
