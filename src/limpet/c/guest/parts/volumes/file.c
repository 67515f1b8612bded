/* Open files of a volume: the bytes, the size and the times are the host's, and so are its errors.
 */
#include "parts/volumes/volumes.h"

/* The program is root of its own world, and the files of whoever its monitor is are its own. */
static void tell_owner(const struct held *held, struct linux_stat *stat) {
    u64 own = volume_entry(held->volume)->capacity;
    stat->uid = stat->uid == (u32)own ? 0 : stat->uid;
    stat->gid = stat->gid == own >> 32 ? 0 : stat->gid;
}

long volume_tell(const struct held *held, u64 what, s64 offset, void *to, u64 size) {
    struct volume_tell block = {.slot = held->slot, .what = what, .offset = offset};
    const void *known = what == TELL_STAT ? ahead_stat(held->slot) : NULL;
    if (!known)
        volume_host.tell(&block);
    if (block.result >= 0)
        memcpy(to, known ? known : block.bytes, size);
    if (block.result >= 0 && what == TELL_STAT)
        tell_owner(held, to);
    return block.result;
}

long held_stat(struct held *held, struct linux_stat *to) {
    long error = volume_tell(held, TELL_STAT, 0, to, sizeof *to);
    if (error)
        return error;
    held->mode = to->mode;
    if (boot_info.nobody && owner_asked(held, to))
        tell_owner(held, to);
    return 0;
}

u32 held_mode(struct held *held) {
    struct linux_stat stat = {0};
    if (!held->mode && !volume_tell(held, TELL_STAT, 0, &stat, sizeof stat))
        held->mode = stat.mode;
    return held->mode;
}

static long host_read(struct file *file, u64 to, u64 size, u64 at) {
    long known = ahead_read(held_of(file)->slot, (void *)to, size, at);
    if (known >= 0)
        return known;
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
        if (got == -ESPIPE)
            return -EOPNOTSUPP; /* a pipe, which nobody looked at when it was opened */
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

enum { RWF_DSYNC = 2, RWF_SYNC = 4, RWF_APPEND = 16 };

static u64 flags_of(const struct file *file) {
    u64 durable = (file->flags & O_SYNC) == O_SYNC ? RWF_SYNC
                  : file->flags & O_DSYNC          ? RWF_DSYNC
                                                   : 0;
    return durable | (file->flags & O_APPEND ? RWF_APPEND : 0);
}

static long host_write(struct file *file, u64 from, u64 size, u64 at) {
    struct volume_write block = {.slot = held_of(file)->slot,
                                 .offset = at,
                                 .address = from,
                                 .length = MIN(size, MAX_TRANSFER),
                                 .flags = flags_of(file)};
    slots_settle();
    volume_host.write(&block);
    if (block.result == -EFAULT && memory_present(from, block.length))
        volume_host.write(&block);
    return block.result;
}

#define SIGXFSZ 25

static long volume_pwrite(struct file *file, const void *from, u64 size, u64 at) {
    u64 limit = ~file_size_cut, done = 0;
    if (size && at >= limit) {
        signal_raise(SIGXFSZ);
        return -EFBIG;
    }
    size = MIN(size, limit - at);
    do {
        long got = host_write(file, (u64)from + done, size - done, at + done);
        if (got < 0)
            return done ? (long)done : got;
        done += (u64)got;
        if (got == 0)
            break;
    } while (done < size);
    return (long)done;
}

static long volume_stat(struct file *file, struct linux_stat *to) {
    return held_stat(held_of(file), to);
}

/* With O_APPEND the position is behind what was written: the end, unless another appends too. */
static long volume_write(struct file *file, const void *from, u64 size) {
    struct linux_stat stat = {0};
    long done = volume_pwrite(file, from, size, file->position);
    if (done > 0)
        file->position += (u64)done;
    if (done > 0 && file->flags & O_APPEND && !volume_stat(file, &stat))
        file->position = (u64)stat.size;
    return done;
}

long volume_write_set(struct file *file, u64 what, u64 mode, s64 offset, s64 length) {
    struct volume_set block = {.slot = held_of(file)->slot,
                               .what = what,
                               .mode = mode,
                               .offset = offset,
                               .length = length};
    slots_settle();
    volume_host.set(&block);
    return block.result;
}

static long volume_truncate(struct file *file, u64 size) {
    if (size > ~file_size_cut) {
        signal_raise(SIGXFSZ);
        return -EFBIG;
    }
    return volume_write_set(file, VOLUME_SIZE, 0, (s64)size, 0);
}

static long volume_sync(struct file *file) {
    return volume_write_set(file, VOLUME_DURABLE, 0, 0, 0);
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

/* Whether any descriptor of the program can write to it. */
static bool is_written(const struct held *held) {
    for (long fd = 0; fd < fd_end(); fd++) {
        struct file *file = fd_get(fd);
        if (!file || file->ops != &volume_ops || !writable(file))
            continue;
        const struct held *other = held_of(file);
        if (other->volume == held->volume && !strcmp(other->path, held->path))
            return true;
    }
    return false;
}

/* A copy: what others write to the file meanwhile does not show.  MAP_PRIVATE allows that.  Who
 * shares wants to see it where it can write itself, or keeps others away by a lock meanwhile: an
 * SQLite that reads beside a writer; that is no copy's to give. */
static long volume_map(struct file *file, const struct mapping_wish *wish) {
    struct held *held = held_of(file);
    bool follows = wish->shared && (held->locked || is_written(held));
    return follows || kind_of(held) != S_IFREG ? -ENODEV : 0;
}

static void volume_release(struct file *file) {
    const struct held *held = held_of(file);
    if ((file->flags & O_ACCMODE) == O_RDONLY && !held->locked)
        slot_leave(held->slot);
    else
        slot_close(held->slot);
    heap_free(file->object);
}

enum { FIONREAD = 0x541b };

static long volume_ioctl(struct file *file, u64 request, u64 argument) {
    struct linux_stat stat;
    if (request != FIONREAD || kind_of(held_of(file)) != S_IFREG)
        return -ENOTTY;
    long error = volume_stat(file, &stat);
    if (!error)
        *(s32 *)argument = (s32)(stat.size - (s64)file->position);
    return error;
}

const struct file_ops volume_ops = {
    .read = volume_read,
    .write = volume_write,
    .pread = volume_pread,
    .pwrite = volume_pwrite,
    .truncate = volume_truncate,
    .sync = volume_sync,
    .seek = volume_seek,
    .stat = volume_stat,
    .entries = volume_entries,
    .ioctl = volume_ioctl,
    .map = volume_map,
    .fill = volume_pread,
    .release = volume_release,
};
