/* volume_set on kvm. */
static long set_of(const struct volume_set *block) {
    long slot = (long)block->slot;
    if (!is_slot(block->slot))
        return -HOST_EBADF;
    switch (block->what) {
    case 0:
        return host3(NR_FTRUNCATE, slot, block->offset, 0);
    case 1:
        if (block->mode > 1 && block->mode != 3 && (block->mode & ~1UL) != 16)
            return -HOST_EINVAL;
        return host4(NR_FALLOCATE, slot, (long)block->mode, block->offset, block->length);
    case 2:
        return host3(NR_FSYNC, slot, 0, 0);
    case 3:
        return host3(NR_FDATASYNC, slot, 0, 0);
    default:
        return -HOST_EINVAL;
    }
}

static void serve_volume_set(struct volume_set *block) {
    block->result = set_of(block);
}
