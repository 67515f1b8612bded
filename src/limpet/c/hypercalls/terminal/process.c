/* terminal in a process. */
static void process_terminal(struct terminal *block) {
    block->result = HOST_STUB(terminal, ioctl, NR_IOCTL, (long)block->fd, (long)block->request,
                              (long)block->bytes, 0, 0, 0);
}
