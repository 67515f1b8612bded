/* net_read: one frame, if there is one. */
static void serve_hvt_net_read(struct hvt_net_read *block) {
    const struct mft_entry *device = net_device(block->handle);
    block->ret = SOLO5_EINVAL;
    if (!device)
        return;
    u64 to = (u64)guest_buffer(block->data, block->len);
    u64 room = block->len < FRAME_MOST ? block->len : FRAME_MOST;
    long got = host3(NR_READ, (long)device->handle, (long)to, (long)room);
    if (got > 0)
        block->len = (u64)got, block->ret = SOLO5_OK;
    else
        block->ret = got == 0 || got == -HOST_EAGAIN ? SOLO5_AGAIN : SOLO5_EUNSPEC;
}
