/*
 * What the filter of a process lets through to a block device: BLOCK_PIECE bytes that lie
 * within its capacity, and a sector anywhere before its end.  It cannot add, so it
 * compares the length and the offset by themselves.
 */
#ifndef LIMPET_PIECES_H
#define LIMPET_PIECES_H

static inline const struct mft_entry *device_entry(u64 handle) {
    return &((const struct manifest *)guest_info.devices)->entries[handle];
}

/* How much of the `left` bytes at `at` can go at once; 0 behind the last sector's start. */
static inline u64 piece_of(const struct mft_entry *device, u64 at, u64 left) {
    u64 piece = MIN(BLOCK_PIECE, device->capacity);
    if (at <= device->capacity - piece)
        return MIN(left, piece);
    return at <= device->capacity - BLOCK_SECTOR ? MIN(left, BLOCK_SECTOR) : 0;
}

#endif
