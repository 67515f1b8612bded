/* entropy in a process. */
static void process_entropy(struct entropy *block) {
    HOST_STUB(entropy, getrandom, NR_GETRANDOM, (long)block->bytes, sizeof block->bytes, 0, 0, 0,
              0);
}
