/* console_out on kvm.  The bytes go straight from guest memory to write(2): a hole in
 * the range is the host kernel's EFAULT, not ours. */
static void serve_console_out(struct console_out *block) {
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    if (!from || block->length > MAX_TRANSFER || (block->fd != STDOUT && block->fd != STDERR)) {
        block->result = -HOST_EFAULT;
        return;
    }
    block->result = host3(NR_WRITE, (long)block->fd, (long)from, (long)block->length);
}
