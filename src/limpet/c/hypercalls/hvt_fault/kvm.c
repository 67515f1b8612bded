/* fault: the line that says why, and the end.  An error with its top bit set is the
 * number of an exception that the guest has no handler for, or met inside one. */
static const char *what_happened(u64 error) {
    if (error >> 63)
        return ": an exception without a handler, vector 0x";
    return error & 16  ? ": the guest executed data at 0x"
           : error & 2 ? ": the guest wrote read-only memory at 0x"
                       : ": the guest read memory that it may not at 0x";
}

static _Noreturn void serve_hvt_fault(struct hvt_fault *block) {
    char line[LINE_MOST];
    char *to = put_text(line, "limpet: host/guest translation fault: rip=0x");
    to = put_text(put_hex(to, block->rip), what_happened(block->error));
    to = put_hex(to, block->error >> 63 ? block->error & 0xff : block->address);
    to = put_text(to, ", backend kvm\n");
    host3(NR_WRITE, STDERR, (long)line, to - line);
    for (;;)
        host3(NR_EXIT_GROUP, EXIT_REFUSED, 0, 0);
}
