/* entropy on kvm: the bytes pass through the copy of the block, so that the guest's
 * memory is written once and by us. */
static void serve_entropy(struct entropy *block) {
    if (host3(NR_GETRANDOM, (long)block->bytes, sizeof block->bytes, 0) != sizeof block->bytes)
        die(EXIT_CANNOT_START, "limpet: the host has no entropy\n");
}
