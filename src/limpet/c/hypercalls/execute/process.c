/* execute in a process: the filter lets no other rights through from here. */
static void process_execute(struct execute *block) {
    enum { READ_EXECUTE = 5 };
    block->result = HOST_STUB(execute, mprotect, NR_MPROTECT, (long)block->address,
                              (long)block->length, READ_EXECUTE, 0, 0, 0);
}
