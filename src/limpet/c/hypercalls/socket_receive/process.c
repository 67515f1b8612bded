/* socket_receive in a process: the stub is the system call itself. */
static void process_socket_receive(struct socket_receive *block) {
    u64 size = block->length < MAX_TRANSFER ? block->length : MAX_TRANSFER;
    block->result = HOST_STUB(socket_receive, recvfrom, NR_RECVFROM, block->slot,
                              (long)block->address, (long)size, block->flags, 0, 0);
}
