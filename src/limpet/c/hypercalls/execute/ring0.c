/* execute in a virtual machine. */
static void ring0_execute(struct execute *block) {
    enum { READ_EXECUTE = 5 };
    block->result = ring0_gate(block->address, 0, block->length / 4096, READ_EXECUTE);
}
