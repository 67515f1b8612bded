/* The library OS keeps argument blocks in its own data. */
static inline void *guest_block(struct guest_addr from, u64 size) {
    return guest_range(from, size, BLOCKS_LO, BLOCKS_HI);
}

/* Where the host may store what a guest asks for: anywhere but in the table of devices, which is
 * ours to write and not the guest's. */
static inline void *guest_buffer(struct guest_addr to, u64 size) {
    void *below = guest_range(to, size, GUEST_LO, MANIFEST_AT);
    return below ? below : guest_range(to, size, MANIFEST_END, GUEST_HI);
}
