/* The library OS keeps argument blocks in its own data. */
static inline void *guest_block(struct guest_addr from, u64 size) {
    return guest_range(from, size, BLOCKS_LO, BLOCKS_HI);
}
