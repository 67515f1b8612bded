/* socket_close in a process. */
static void process_socket_close(struct socket_close *block) {
    if (block->how == SOCKET_CLOSE)
        block->result = HOST_STUB(socket_close, close, NR_CLOSE, block->slot, 0, 0, 0, 0, 0);
    else
        block->result =
            HOST_STUB(socket_close, shutdown, NR_SHUTDOWN, block->slot, block->how, 0, 0, 0, 0);
}
