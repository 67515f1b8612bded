/* From one open file to another: the program does not see the bytes. */
#include "parts/fd/fd.h"

#define COPY_PIECE 65536UL

/* sendfile and copy_file_range: through a buffer, from and to explicit offsets. */
static long copy_between(long out, long in, s64 *out_at, s64 *in_at, u64 size) {
    void *buffer = heap_alloc(COPY_PIECE);
    long total = 0, got = buffer ? 0 : -ENOMEM;
    while (buffer && size) {
        u64 piece = MIN(size, COPY_PIECE);
        got = in_at ? sys_pread64(in, (long)buffer, (long)piece, *in_at)
                    : sys_read(in, (long)buffer, (long)piece);
        if (got <= 0)
            break;
        long put = out_at ? sys_pwrite64(out, (long)buffer, got, *out_at)
                          : sys_write(out, (long)buffer, got);
        if (put < 0) {
            got = put;
            break;
        }
        total += put, size -= (u64)put;
        if (in_at)
            *in_at += put;
        if (out_at)
            *out_at += put;
    }
    heap_free(buffer);
    return total ? total : got;
}

long sys_sendfile(long out, long in, long at, long size) {
    const struct file *from = fd_get(in), *to = fd_get(out);
    if (!from || !readable(from))
        return -EBADF;
    long error = at ? fd_may_pread(from) : 0;
    if (!error && at && *(const s64 *)at < 0)
        error = -EINVAL;
    if (error)
        return error;
    if (!to || !writable(to))
        return -EBADF;
    if (to->flags & O_APPEND)
        return -EINVAL;
    if (!size && (from->ops->seek || !to->ops->seek))
        return 0;
    if (!from->ops->pread)
        return -EINVAL;
    return copy_between(out, in, NULL, (s64 *)at, (u64)size);
}

static long may_copy(const struct file *in, const struct file *out, long flags) {
    if (!in || !out)
        return -EBADF;
    if (flags)
        return -EINVAL;
    if (in->ops->entries || out->ops->entries)
        return -EISDIR;
    if (!in->ops->truncate || !out->ops->truncate) /* not a regular file */
        return -EINVAL;
    return readable(in) && writable(out) && !(out->flags & O_APPEND) ? 0 : -EBADF;
}

long sys_copy_file_range(long in, long in_at, long out, long out_at, long size, long flags) {
    const struct file *from = fd_use(in), *to = fd_use(out);
    struct linux_stat stat = {0};
    long error = may_copy(from, to, flags);
    if (error)
        return error;
    from->ops->stat(fd_get(in), &stat);
    s64 start = in_at ? *(const s64 *)in_at : (s64)from->position;
    s64 to_start = out_at ? *(const s64 *)out_at : (s64)to->position;
    if (start < 0 || to_start < 0)
        return -EINVAL;
    size = start < stat.size ? (long)MIN((u64)size, (u64)(stat.size - start)) : 0;
    if (from->object == to->object && to_start + size > start && to_start < start + size)
        return -EINVAL;
    long done = copy_between(out, in, out_at ? &to_start : NULL, in_at ? &start : NULL, (u64)size);
    if (done > 0 && in_at) /* both at the end: they may be one */
        *(s64 *)in_at = start;
    if (done > 0 && out_at)
        *(s64 *)out_at = to_start;
    return done;
}
