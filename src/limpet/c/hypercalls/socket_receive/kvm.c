/* socket_receive on kvm. */
static void serve_socket_receive(struct socket_receive *block) {
    void *to = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = -HOST_EFAULT;
    if (!is_link(block->slot) || block->flags & ~SOCKET_PEEK)
        block->result = -HOST_EBADF;
    else if (to && block->length <= MAX_TRANSFER)
        block->result =
            host6(NR_RECVFROM, block->slot, (long)to, (long)block->length, block->flags, 0, 0);
}
