/* volume_write on kvm. */
static void serve_volume_write(struct volume_write *block) {
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    const u64 vector[2] = {(u64)from, block->length};
    bool known = !(block->flags & ~22UL) && (block->flags & 6) != 6 && block->offset < OFFSET_END;
    block->result = !is_slot(block->slot) ? -HOST_EBADF : known ? -HOST_EFAULT : -HOST_EINVAL;
    if (from && block->length <= MAX_TRANSFER && block->result == -HOST_EFAULT)
        block->result = host6(NR_PWRITEV2, (long)block->slot, (long)vector, 1, (long)block->offset,
                              0, (long)block->flags);
}
