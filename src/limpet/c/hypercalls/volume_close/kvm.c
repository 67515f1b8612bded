/* volume_close on kvm. */
static void serve_volume_close(struct volume_close *block) {
    block->result = is_slot(block->slot) && is_slot(block->last)
                        ? host3(NR_CLOSE_RANGE, (long)block->slot, (long)block->last, 0)
                        : -HOST_EBADF;
}
