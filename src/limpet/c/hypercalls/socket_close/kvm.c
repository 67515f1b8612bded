/* socket_close on kvm. */
static void serve_socket_close(struct socket_close *block) {
    if (!is_connection(block->slot) || block->how > SOCKET_CLOSE)
        block->result = -HOST_EBADF;
    else if (block->how == SOCKET_CLOSE)
        block->result = host3(NR_CLOSE, block->slot, 0, 0);
    else
        block->result = host3(NR_SHUTDOWN, block->slot, block->how, 0);
}
