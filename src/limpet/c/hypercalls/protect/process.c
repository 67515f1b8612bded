/* protect in a process: what is mapped behind the arena can only have come from it. */
static void process_protect(struct protect *block) {
    block->result = HOST_STUB(protect, mprotect, NR_MPROTECT, (long)block->address,
                              (long)block->length, (long)block->rights, 0, 0, 0);
}
