/* socket_send in a process: the stub is the system call itself. */
static void process_socket_send(struct socket_send *block) {
    u64 size = block->length < MAX_TRANSFER ? block->length : MAX_TRANSFER;
    block->result = HOST_STUB(socket_send, sendto, NR_SENDTO, block->slot, (long)block->address,
                              (long)size, block->flags, 0, 0);
}
