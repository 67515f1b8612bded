/* From one open file to another: the program does not see the bytes. */
#include "parts/fd/copy.h"

#define COPY_PIECE 65536UL
#define LAST_BYTE ((s64)(~0UL >> 1))

enum { NUMBER_NULL = 0x103, NUMBER_FULL = 0x107 };

struct side copy_side(struct file *file, s64 *at) {
    struct linux_stat stat = {0};
    file->ops->stat(file, &stat);
    return (struct side){file, at, stat.mode & S_IFMT, stat.rdev};
}

bool copy_has_source(const struct side *in) {
    bool null = in->kind == S_IFCHR && in->device == NUMBER_NULL;
    return in->file->ops->read && in->kind != S_IFDIR && !null && in->kind && in->kind != S_IFIFO;
}

bool copy_has_sink(const struct side *out) {
    bool full = out->kind == S_IFCHR && out->device == NUMBER_FULL;
    return out->file->ops->write && !full && out->kind;
}

s64 copy_position(const struct side *side) {
    return side->at ? *side->at : (s64)side->file->position;
}

long copy_check_range(s64 at, u64 size) {
    return at < 0 || (s64)size < 0 || (s64)((u64)at + size) < 0 ? -EINVAL : 0;
}

void copy_move(const struct side *side, long by) {
    if (side->at)
        *side->at += by;
    else
        side->file->position += (u64)by;
}

/* Not past what the other side takes, so the position moves after that. */
long copy_take(const struct side *in, void *buffer, u64 size) {
    const struct file_ops *ops = in->file->ops;
    if (!ops->pread)
        return ops->read(in->file, buffer, size);
    return ops->pread(in->file, buffer, size, (u64)copy_position(in));
}

long copy_put(const struct side *out, const void *buffer, u64 size) {
    const struct file_ops *ops = out->file->ops;
    if (!out->at)
        return ops->write(out->file, buffer, size);
    long done = ops->pwrite(out->file, buffer, size, (u64)*out->at);
    *out->at += MAX(done, 0);
    return done;
}

/* What is next, in place where that is possible; how much in *size.  `buffer` is made once. */
static const void *copy_next(const struct side *in, void **buffer, u64 *size) {
    const struct file_ops *ops = in->file->ops;
    const void *there = ops->view ? ops->view(in->file, (u64)copy_position(in), size) : NULL;
    if (there)
        return there;
    *size = MIN(*size, COPY_PIECE);
    if (!*buffer)
        *buffer = heap_alloc(*size);
    if (!*buffer) {
        *size = (u64)-ENOMEM;
        return NULL;
    }
    *size = (u64)copy_take(in, *buffer, *size);
    return *buffer;
}

/* Up to `size` bytes; both positions move by what got there. */
static long copy_between(const struct side *in, const struct side *out, u64 size) {
    void *buffer = NULL;
    long total = 0, got = 0;
    while (size) {
        u64 piece = size;
        const void *next = copy_next(in, &buffer, &piece);
        got = (long)piece;
        if (got > 0)
            got = copy_put(out, next, piece);
        if (got <= 0)
            break;
        if (in->file->ops->pread)
            copy_move(in, got);
        total += got, size -= (u64)got;
    }
    heap_free(buffer);
    return total ? total : got;
}

static long may_send(const struct side *in, const struct side *out, u64 size) {
    if (out->kind == S_IFIFO)
        return copy_has_source(in) ? 0 : size ? -EINVAL : 0;
    long error = copy_check_range(copy_position(out), size);
    if (error)
        return error;
    if (out->file->flags & O_APPEND || !in->file->ops->seek)
        return -EINVAL;
    return !size || (copy_has_source(in) && copy_has_sink(out)) ? 0 : -EINVAL;
}

static long send(long out_fd, long in_fd, s64 *at, u64 size) {
    struct file *from = fd_use(in_fd);
    if (!from || !readable(from))
        return -EBADF;
    struct side in = copy_side(from, at);
    if (at && fd_may_pread(from))
        return -ESPIPE;
    long error = copy_check_range(copy_position(&in), size);
    if (error)
        return error;
    struct file *to = fd_use(out_fd);
    if (!to || !writable(to))
        return -EBADF;
    struct side out = copy_side(to, NULL);
    u64 allowed = (u64)(LAST_BYTE - copy_position(&in));
    size = MIN(size, MOST_BYTES);
    if (size > allowed && !allowed)
        return -EOVERFLOW;
    size = MIN(size, allowed);
    error = may_send(&in, &out, size);
    return error || !size ? error : copy_between(&in, &out, size);
}

long sys_sendfile(long out, long in, long at, long size) {
    s64 position = at ? *(s64 *)at : 0;
    long done = send(out, in, at ? &position : NULL, (u64)size);
    if (at)
        *(s64 *)at = position;
    return done;
}

static long may_copy(const struct side *in, const struct side *out) {
    if (in->kind == S_IFDIR || out->kind == S_IFDIR)
        return -EISDIR;
    if (in->kind != S_IFREG || out->kind != S_IFREG)
        return -EINVAL;
    bool appends = out->file->flags & O_APPEND;
    return readable(in->file) && writable(out->file) && !appends ? 0 : -EBADF;
}

/* What is there of `size` bytes, or an error. */
static long size_to_copy(const struct side *in, const struct side *out, u64 size) {
    struct linux_stat stat = {0};
    s64 from = copy_position(in), to = copy_position(out);
    if ((u64)from + size < (u64)from || (u64)to + size < (u64)to)
        return -EOVERFLOW;
    in->file->ops->stat(in->file, &stat);
    size = from < stat.size ? MIN(size, (u64)(stat.size - from)) : 0;
    if (to == LAST_BYTE)
        return -EFBIG;
    size = MIN(size, (u64)(LAST_BYTE - to));
    bool same = in->file->object == out->file->object;
    if (same && to + (s64)size > from && to < from + (s64)size)
        return -EINVAL;
    if (copy_check_range(from, size) || copy_check_range(to, size))
        return -EINVAL;
    return (long)MIN(size, MOST_BYTES);
}

long sys_copy_file_range(long in_fd, long in_at, long out_fd, long out_at, long size, long flags) {
    struct file *from = fd_use(in_fd), *to = fd_use(out_fd);
    if (!from || !to)
        return -EBADF;
    s64 start = in_at ? *(const s64 *)in_at : 0, to_start = out_at ? *(const s64 *)out_at : 0;
    const struct side in = copy_side(from, in_at ? &start : NULL);
    const struct side out = copy_side(to, out_at ? &to_start : NULL);
    long done = (u32)flags ? -EINVAL : may_copy(&in, &out);
    if (!done)
        done = size_to_copy(&in, &out, (u64)size);
    if (done > 0)
        done = copy_between(&in, &out, (u64)done);
    if (done > 0 && in_at) /* both at the end: they may be one */
        *(s64 *)in_at = start;
    if (done > 0 && out_at)
        *(s64 *)out_at = to_start;
    return done;
}
