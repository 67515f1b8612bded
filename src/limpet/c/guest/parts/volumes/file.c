/* Open files of a volume: the bytes, the size and the times are the host's, and so are its errors.
 */
#include "parts/volumes/volumes.h"

long volume_tell(const struct held *held, u64 what, s64 offset, void *to, u64 size) {
    struct volume_tell block = {.slot = held->slot, .what = what, .offset = offset};
    volume_host.tell(&block);
    if (block.result >= 0)
        memcpy(to, block.bytes, size);
    return block.result;
}

static long host_read(struct file *file, u64 to, u64 size, u64 at) {
    struct volume_read block = {.slot = held_of(file)->slot,
                                .offset = at,
                                .address = to,
                                .length = MIN(size, MAX_TRANSFER)};
    volume_host.read(&block);
    if (block.result == -EFAULT && memory_present(to, block.length))
        volume_host.read(&block);
    return block.result;
}

static long volume_pread(struct file *file, void *to, u64 size, u64 at) {
    u64 done = 0;
    do {
        long got = host_read(file, (u64)to + done, size - done, at + done);
        if (got < 0)
            return done ? (long)done : got;
        done += (u64)got;
        if (got == 0 || (u64)got < MIN(size - done + (u64)got, MAX_TRANSFER))
            break;
    } while (done < size);
    return (long)done;
}

static long volume_read(struct file *file, void *to, u64 size) {
    long done = volume_pread(file, to, size, file->position);
    file->position += done > 0 ? (u64)done : 0;
    return done;
}

static long volume_stat(struct file *file, struct linux_stat *to) {
    return volume_tell(held_of(file), TELL_STAT, 0, to, sizeof *to);
}

static long seek_on_host(struct file *file, long offset, int whence) {
    long to = volume_tell(held_of(file), TELL_PLACE + (u64)whence, offset, NULL, 0);
    if (to >= 0)
        file->position = (u64)to;
    return to;
}

static long volume_seek(struct file *file, long offset, int whence) {
    struct linux_stat stat = {0};
    long base = whence == SEEK_CUR ? (long)file->position : 0;
    if (is_folder(held_of(file)) || whence == SEEK_DATA || whence == SEEK_HOLE)
        return seek_on_host(file, offset, whence);
    long error = whence == SEEK_END ? volume_stat(file, &stat) : 0;
    if (error < 0)
        return error;
    if (whence == SEEK_END)
        base = stat.size;
    if (__builtin_add_overflow(base, offset, &base) || base < 0)
        return -EINVAL;
    file->position = (u64)base;
    return base;
}

static long volume_entries(struct file *file, void *to, u64 size) {
    struct volume_list block = {
        .slot = held_of(file)->slot, .address = (u64)to, .length = MIN(size, MAX_TRANSFER)};
    volume_host.list(&block);
    if (block.result == -EFAULT && memory_present((u64)to, block.length))
        volume_host.list(&block);
    return block.result;
}

/* A copy: what others write to the file meanwhile does not show, which MAP_PRIVATE allows. */
static long volume_map(struct file *file, const struct mapping_wish *wish) {
    return wish->shared || is_folder(held_of(file)) ? -ENODEV : 0;
}

static void volume_release(struct file *file) {
    slot_close(held_of(file)->slot);
    heap_free(file->object);
}

const struct file_ops volume_ops = {
    .read = volume_read,
    .pread = volume_pread,
    .seek = volume_seek,
    .stat = volume_stat,
    .entries = volume_entries,
    .map = volume_map,
    .fill = volume_pread,
    .release = volume_release,
};
