/* console_out in a process: the stub is the system call itself. */
static void process_console_out(struct console_out *block) {
    u64 size = block->length < MAX_TRANSFER ? block->length : MAX_TRANSFER;
    block->result = HOST_STUB(console_out, write, NR_WRITE, (long)block->fd, (long)block->address,
                              (long)size, 0, 0, 0);
}
