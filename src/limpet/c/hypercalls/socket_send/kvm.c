/* socket_send on kvm. */
static void serve_socket_send(struct socket_send *block) {
    const void *from = guest_range(block->address, block->length, GUEST_LO, GUEST_HI);
    block->result = -HOST_EFAULT;
    if (!is_link(block->slot) || (block->flags | SOCKET_SEND_MORE) != SOCKET_SEND_MORE ||
        !(block->flags & SOCKET_SEND))
        block->result = -HOST_EBADF;
    else if (from && block->length <= MAX_TRANSFER)
        block->result =
            host6(NR_SENDTO, block->slot, (long)from, (long)block->length, block->flags, 0, 0);
}
