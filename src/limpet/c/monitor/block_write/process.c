/* block_write in a process: in pieces that the filter allows, the end through a buffer. */
#include "devices/pieces.h"

static long block_write_host(u64 fd, u64 from, u64 size, u64 at) {
    return HOST_STUB(block_write, pwrite64, NR_PWRITE64, (long)fd, (long)from, (long)size, (long)at,
                     0, 0);
}

static long block_write_end(const struct mft_entry *device, u64 from, u64 size, u64 at) {
    u8 last[BLOCK_SECTOR];
    u64 start = device->capacity - BLOCK_SECTOR;
    struct block_read before = {device->handle - DEVICE_FD, start, (u64)last, BLOCK_SECTOR, 0};
    process_block_read(&before);
    if (before.result < BLOCK_SECTOR)
        return before.result < 0 ? before.result : -HOST_EIO;
    memcpy(last + (at - start), (const void *)from, size);
    long put = block_write_host(device->handle, (u64)last, BLOCK_SECTOR, start);
    return put < BLOCK_SECTOR ? put < 0 ? put : -HOST_EIO : (long)size;
}

static void process_block_write(struct block_write *block) {
    const struct mft_entry *device = device_entry(block->device);
    u64 done = 0;
    block->result = 0;
    while (done < block->length && block->result >= 0) {
        u64 at = block->offset + done, from = block->address + done;
        u64 size = piece_of(device, at, block->length - done);
        long put = size ? block_write_host(device->handle, from, size, at)
                        : block_write_end(device, from, block->length - done, at);
        done += put > 0 ? (u64)put : 0;
        block->result = put < 0 && !done ? put : (s64)done;
        if (put <= 0)
            return;
    }
}
