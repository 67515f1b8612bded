/* Block devices: the bytes are the host's, and so is the cache. */
#include "parts/files/node.h"

enum {
    BLKROGET = 0x125e,
    BLKGETSIZE = 0x1260,
    BLKFLSBUF = 0x1261,
    BLKSSZGET = 0x1268,
    BLKPBSZGET = 0x127b,
};
#define BLKBSZGET 0x80081270UL
#define BLKGETSIZE64 0x80081272UL

static const struct mft_entry *entry_of(const struct file *file) {
    return &((const struct manifest *)guest_info.devices)->entries[file->extra];
}

/* O_DIRECT goes by whole sectors. */
static bool aligned(const struct file *file, u64 address, u64 size, u64 at) {
    u64 sector = entry_of(file)->block_size;
    return !(file->flags & O_DIRECT) || !((address | size | at) & (sector - 1));
}

static long block_pread(struct file *file, void *to, u64 size, u64 at) {
    u64 capacity = entry_of(file)->capacity, done = 0;
    if (!aligned(file, (u64)to, size, at))
        return -EINVAL;
    size = at < capacity ? MIN(size, capacity - at) : 0;
    while (done < size) {
        struct block_read block = {.device = file->extra,
                                   .offset = at + done,
                                   .address = (u64)to + done,
                                   .length = MIN(size - done, MAX_TRANSFER)};
        hypercall_block_read(&block);
        if (block.result <= 0)
            return done ? (long)done : block.result;
        done += (u64)block.result;
    }
    return (long)done;
}

static long block_sync(struct file *file) {
    struct block_flush block = {.device = file->extra};
    hypercall_block_flush(&block);
    return block.result;
}

static long write_all(struct file *file, u64 from, u64 size, u64 at) {
    for (u64 done = 0; done < size;) {
        struct block_write block = {.device = file->extra,
                                    .offset = at + done,
                                    .address = from + done,
                                    .length = MIN(size - done, MAX_TRANSFER)};
        hypercall_block_write(&block);
        if (block.result <= 0)
            return done ? (long)done : block.result;
        done += (u64)block.result;
    }
    return (long)size;
}

static long block_pwrite(struct file *file, const void *from, u64 size, u64 at) {
    u64 capacity = entry_of(file)->capacity;
    if (!aligned(file, (u64)from, size, at))
        return -EINVAL;
    if (!size)
        return 0;
    if (at >= capacity)
        return -ENOSPC;
    long done = write_all(file, (u64)from, MIN(size, capacity - at), at);
    long error = done > 0 && file->flags & (O_SYNC | O_DSYNC) ? block_sync(file) : 0;
    return error < 0 ? error : done;
}

static long block_read_on(struct file *file, void *to, u64 size) {
    long done = block_pread(file, to, size, file->position);
    file->position += done > 0 ? (u64)done : 0;
    return done;
}

static long block_write_on(struct file *file, const void *from, u64 size) {
    long done = block_pwrite(file, from, size, file->position);
    file->position += done > 0 ? (u64)done : 0;
    return done;
}

static long block_seek(struct file *file, long offset, int whence) {
    long size = (long)entry_of(file)->capacity, to;
    if ((whence == SEEK_DATA || whence == SEEK_HOLE) && (u64)offset >= (u64)size)
        return -ENXIO;
    to = whence == SEEK_END || whence == SEEK_HOLE ? size
         : whence == SEEK_CUR                      ? (long)file->position
                                                   : 0;
    if (whence != SEEK_HOLE && __builtin_add_overflow(to, offset, &to))
        return -EINVAL;
    if (to < 0 || to > size)
        return -EINVAL;
    file->position = (u64)to;
    return to;
}

static long block_ioctl(struct file *file, u64 request, u64 argument) {
    const struct mft_entry *entry = entry_of(file);
    switch (request) {
    case BLKGETSIZE64:
        *(u64 *)argument = entry->capacity;
        return 0;
    case BLKGETSIZE:
        *(u64 *)argument = entry->capacity / 512;
        return 0;
    case BLKSSZGET:
    case BLKPBSZGET:
        *(u32 *)argument = entry->block_size;
        return 0;
    case BLKBSZGET:
        *(u32 *)argument = PAGE;
        return 0;
    case BLKROGET:
        *(u32 *)argument = entry->read_only;
        return 0;
    case BLKFLSBUF:
        return block_sync(file);
    default:
        return -ENOTTY;
    }
}

/* A copy: nothing here could tell a write to shared memory from any other. */
static long block_map(struct file *file, const struct mapping_wish *wish) {
    (void)file;
    return wish->shared ? -ENODEV : 0;
}

const struct file_ops block_ops = {
    .read = block_read_on,
    .write = block_write_on,
    .pread = block_pread,
    .pwrite = block_pwrite,
    .seek = block_seek,
    .stat = file_stat,
    .ioctl = block_ioctl,
    .sync = block_sync,
    .map = block_map,
    .fill = block_pread,
    .release = file_close,
};
