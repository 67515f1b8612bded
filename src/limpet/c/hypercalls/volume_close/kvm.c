/* volume_close on kvm. */
static void serve_volume_close(struct volume_close *block) {
    block->result = is_slot(block->slot) ? host3(NR_CLOSE, (long)block->slot, 0, 0) : -HOST_EBADF;
}
