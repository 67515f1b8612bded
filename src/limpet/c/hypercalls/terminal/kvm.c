/* terminal on kvm: through the monitor's copy of the block, which the guest cannot change
 * meanwhile.  The filter knows the same descriptors and requests. */
static void serve_terminal(struct terminal *block) {
    block->result = block->fd >= FIRST_FD ? -HOST_EBADF
                                          : host3(NR_IOCTL, (long)block->fd, (long)block->request,
                                                  (long)block->bytes);
}
