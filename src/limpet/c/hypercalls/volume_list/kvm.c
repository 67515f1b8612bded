/* volume_list on kvm. */
static void serve_volume_list(struct volume_list *block) {
    const void *to = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = is_slot(block->slot) ? -HOST_EFAULT : -HOST_EBADF;
    if (to && block->length <= MAX_TRANSFER && is_slot(block->slot))
        block->result = host3(NR_GETDENTS64, (long)block->slot, (long)to, (long)block->length);
}
