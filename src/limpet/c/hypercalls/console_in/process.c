/* console_in in a process. */
static void process_console_in(struct console_in *block) {
    u64 size = block->length < MAX_TRANSFER ? block->length : MAX_TRANSFER;
    block->result =
        HOST_STUB(console_in, read, NR_READ, STDIN, (long)block->address, (long)size, 0, 0, 0);
}
