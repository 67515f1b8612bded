/* volume_link on kvm. */
static void serve_volume_link(struct volume_link *block) {
    const void *to = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = is_slot(block->slot) ? -HOST_EFAULT : -HOST_EBADF;
    if (to && block->length <= VOLUME_PATH_MOST && is_slot(block->slot))
        block->result =
            host4(NR_READLINKAT, (long)block->slot, NO_NAME, (long)to, (long)block->length);
}
