/* place in a virtual machine. */
static void ring0_place(struct place *block) {
    block->result = ring0_gate(block->from, block->to, block->length / 4096, 0);
}
