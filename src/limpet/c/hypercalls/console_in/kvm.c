/* console_in on kvm.  read(2) fills guest memory itself; what the guest may not write
 * is mapped read-only here too, and gives EFAULT. */
static void serve_console_in(struct console_in *block) {
    void *to = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    if (!to || block->length > MAX_TRANSFER) {
        block->result = -HOST_EFAULT;
        return;
    }
    block->result = host3(NR_READ, STDIN, (long)to, (long)block->length);
    /* Bytes behind those that are counted may be written, too, where it has come to a fault. */
    if (block->result > 0 || block->result == -HOST_EFAULT)
        memory_filled((u64)to, block->length);
}
