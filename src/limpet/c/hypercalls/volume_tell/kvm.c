/* volume_tell on kvm. */
static long tell_of(const struct volume_tell *block, long to) {
    long slot = (long)block->slot;
    if (!is_slot(block->slot))
        return -HOST_EBADF;
    if (block->what == 0)
        return host3(NR_FSTAT, slot, to, 0);
    if (block->what == 1)
        return host3(NR_FSTATFS, slot, to, 0);
    return block->what > 6 ? -HOST_EINVAL
                           : host3(NR_LSEEK, slot, block->offset, (long)(block->what - 2));
}

static void serve_volume_tell(struct volume_tell *block) {
    block->result = tell_of(block, (long)block->bytes);
}
