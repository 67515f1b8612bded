/* place in a process: moving pages adds none, and RLIMIT_AS is below what is mapped already. */
static void process_place(struct place *block) {
    enum { MAYMOVE_FIXED = 3 };
    block->result = HOST_STUB(place, mremap, NR_MREMAP, (long)block->from, (long)block->length,
                              (long)block->length, MAYMOVE_FIXED, (long)block->to, 0);
}
