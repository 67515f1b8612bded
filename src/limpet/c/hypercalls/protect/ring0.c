/* protect in a virtual machine. */
static void ring0_protect(struct protect *block) {
    block->result = ring0_gate(block->address, 0, block->length / 4096, block->rights);
}
