/* fault: the line that says why, and the end. */
static _Noreturn void serve_hvt_fault(struct hvt_fault *block) {
    char line[160];
    char *to = put_text(line, "limpet: host/guest translation fault: rip=0x");
    to = put_hex(to, block->rip);
    to = put_text(to, block->error & 16  ? ": the guest executed data at 0x"
                      : block->error & 2 ? ": the guest wrote read-only memory at 0x"
                                         : ": the guest read memory that it may not at 0x");
    to = put_text(put_hex(to, block->address), ", backend kvm\n");
    host3(NR_WRITE, 2, (long)line, to - line);
    for (;;)
        host3(NR_EXIT_GROUP, EXIT_REFUSED, 0, 0);
}
