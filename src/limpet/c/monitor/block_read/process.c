/* block_read in a process: in pieces that the filter allows, the end through a buffer. */
#include "devices/pieces.h"

static long block_read_host(u64 fd, u64 to, u64 size, u64 at) {
    return HOST_STUB(block_read, pread64, NR_PREAD64, (long)fd, (long)to, (long)size, (long)at, 0,
                     0);
}

static long block_read_end(const struct mft_entry *device, u64 to, u64 size, u64 at) {
    u8 last[BLOCK_SECTOR];
    u64 start = device->capacity - BLOCK_SECTOR;
    long got = block_read_host(device->handle, (u64)last, BLOCK_SECTOR, start);
    if (got < BLOCK_SECTOR)
        return got < 0 ? got : -HOST_EIO;
    memcpy((void *)to, last + (at - start), size);
    return (long)size;
}

static void process_block_read(struct block_read *block) {
    const struct mft_entry *device = device_entry(block->device);
    u64 done = 0;
    block->result = 0;
    while (done < block->length && block->result >= 0) {
        u64 at = block->offset + done, to = block->address + done;
        u64 size = piece_of(device, at, block->length - done);
        long got = size ? block_read_host(device->handle, to, size, at)
                        : block_read_end(device, to, block->length - done, at);
        done += got > 0 ? (u64)got : 0;
        block->result = got < 0 && !done ? got : (s64)done;
        if (got <= 0)
            return;
    }
}
