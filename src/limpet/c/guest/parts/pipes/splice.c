/* Between files and pipes past the program's memory: splice(2), tee(2) and vmsplice(2).  Bytes keep
 * to their pages, as Linux has it, so a pipe is full when it is there. */
#include "parts/fd/copy.h"
#include "parts/pipes/pipe.h"

enum { SPLICE_F_NONBLOCK = 2, SPLICE_FLAGS = 0xf };

static struct pipe *input_of(const struct file *file) {
    return ((const struct end *)file->object)->in;
}

static struct pipe *output_of(const struct file *file) {
    return ((const struct end *)file->object)->out;
}

static long ready(struct file *from, struct file *to, u32 flags) {
    bool never = (from->flags | to->flags) & O_NONBLOCK || flags & SPLICE_F_NONBLOCK;
    if (!is_pipe(from) || !is_pipe(to) || input_of(from) == output_of(to))
        return -EINVAL;
    long error;
    do {
        error = pipe_await_input(from, never);
        if (!error)
            error = pipe_await_room(to, never);
    } while (!error && !input_of(from)->used && input_of(from)->writers);
    return error;
}

/* Pages change hands; of the last one, a piece may be copied. */
static long between_pipes(struct file *from, struct file *to, u64 size, u32 flags) {
    struct pipe *in, *out;
    u64 total = 0;
    long done = ready(from, to, flags);
    if (done)
        return done;
    in = input_of(from), out = output_of(to);
    while (total < size && in->used && !pipe_full(out)) {
        struct slot *first = slot_at(in, 0);
        u32 piece = (u32)MIN(size - total, first->length);
        if (piece == first->length) {
            pipe_move(in, out);
        } else {
            done = pipe_lend(out, first->page + first->offset, piece, first->offset, first->packet);
            if (done <= 0)
                break;
            first->offset += piece, first->length -= piece;
        }
        total += piece;
    }
    if (total)
        pipe_tell(in, out);
    return total ? (long)total : done;
}

/* A copy of what stays where it is. */
static long duplicate(struct file *from, struct file *to, u64 size, u32 flags) {
    u64 total = 0;
    long done = ready(from, to, flags);
    if (done)
        return done;
    const struct pipe *in = input_of(from);
    for (u64 i = 0; total < size && i < in->used; i++) {
        const struct slot *each = slot_at(in, i);
        u32 piece = (u32)MIN(size - total, each->length);
        done =
            pipe_lend(output_of(to), each->page + each->offset, piece, each->offset, each->packet);
        if (done <= 0)
            break;
        total += piece;
    }
    if (total)
        pipe_tell(NULL, output_of(to));
    return total ? (long)total : done;
}

static long write_from(struct pipe *in, const struct side *out, u64 size) {
    u64 total = 0;
    long done = 0;
    while (total < size && in->used) {
        struct slot *first = slot_at(in, 0);
        u64 piece = MIN(size - total, first->length);
        done = copy_put(out, first->page + first->offset, piece);
        if (done <= 0)
            break;
        first->offset += (u32)done, first->length -= (u32)done;
        if (!first->length)
            in->head = (in->head + 1) % in->size, in->used--;
        total += (u64)done;
    }
    if (total)
        pipe_tell(in, NULL);
    return total ? (long)total : done;
}

static long to_file(struct file *from, const struct side *out, u64 size, u32 flags) {
    bool never = from->flags & O_NONBLOCK || flags & SPLICE_F_NONBLOCK;
    if (out->at && !out->file->ops->pwrite)
        return -EINVAL;
    if (out->file->flags & O_APPEND)
        return -EINVAL;
    long error = copy_check_range(copy_position(out), size);
    if (!error && !copy_has_sink(out))
        error = -EINVAL;
    if (!error)
        error = pipe_await_input(from, never);
    return error ? error : write_from(input_of(from), out, size);
}

/* Into pages as the file has them. */
static long read_into(const struct side *in, struct file *to, u8 *page, u64 size, bool never) {
    u64 total = 0;
    long done = 0;
    while (total < size && !pipe_full(output_of(to))) {
        u64 offset = in->kind == S_IFREG ? (u64)copy_position(in) % PAGE : 0;
        u64 piece = MIN(size - total, PAGE - offset);
        done = copy_take(in, page, piece);
        long error = done > 0 ? pipe_await_room(to, never) : 0; /* others ran meanwhile */
        if (error || done <= 0)
            return total ? (long)total : error ? error : done;
        done = pipe_lend(output_of(to), page, (u32)done, (u32)offset, false);
        if (done <= 0)
            break;
        if (in->file->ops->pread)
            copy_move(in, done);
        total += (u64)done;
        if ((u64)done < piece)
            break;
    }
    return total ? (long)total : done;
}

static long from_file(const struct side *in, struct file *to, u64 size, u32 flags) {
    bool never = to->flags & O_NONBLOCK || flags & SPLICE_F_NONBLOCK;
    if (in->at && !in->file->ops->pread)
        return -EINVAL;
    long done = copy_check_range(copy_position(in), size);
    if (!done)
        done = pipe_await_room(to, never);
    if (!done && !copy_has_source(in))
        done = -EINVAL;
    u8 *page = done ? NULL : heap_alloc(PAGE);
    if (!page)
        return done ? done : -ENOMEM;
    done = read_into(in, to, page, size, never);
    heap_free(page);
    if (done > 0)
        pipe_tell(NULL, output_of(to));
    return done;
}

static long splice(const struct side *in, const struct side *out, u64 size, u32 flags) {
    if (!readable(in->file) || !writable(out->file))
        return -EBADF;
    if (is_pipe(in->file) && is_pipe(out->file))
        return between_pipes(in->file, out->file, size, flags);
    if (is_pipe(in->file))
        return to_file(in->file, out, size, flags);
    return is_pipe(out->file) ? from_file(in, out->file, size, flags) : -EINVAL;
}

long sys_splice(long in_fd, long in_at, long out_fd, long out_at, long size, long flags) {
    struct file *from = fd_use(in_fd), *to = fd_use(out_fd);
    s64 start = 0, to_start = 0;
    if (!size)
        return 0;
    if ((u32)flags & ~(u32)SPLICE_FLAGS)
        return -EINVAL;
    if (!from || !to)
        return -EBADF;
    if ((is_pipe(from) && in_at) || (is_pipe(to) && out_at))
        return -ESPIPE;
    to_start = out_at ? *(const s64 *)out_at : 0, start = in_at ? *(const s64 *)in_at : 0;
    const struct side in = copy_side(from, in_at ? &start : NULL);
    const struct side out = copy_side(to, out_at ? &to_start : NULL);
    long done = splice(&in, &out, (u64)size, (u32)flags);
    if (done >= 0 && out_at)
        *(s64 *)out_at = to_start;
    if (done >= 0 && in_at)
        *(s64 *)in_at = start;
    return done;
}

long sys_tee(long in_fd, long out_fd, long size, long flags) {
    struct file *from = fd_use(in_fd), *to = fd_use(out_fd);
    if ((u32)flags & ~(u32)SPLICE_FLAGS)
        return -EINVAL;
    if (!size)
        return 0;
    if (!from || !to || !readable(from) || !writable(to))
        return -EBADF;
    return duplicate(from, to, (u64)size, (u32)flags);
}

/* The program's pages are copied, however they are given: SPLICE_F_GIFT saves nothing here. */
static long give(struct file *file, const struct linux_iovec *vector, u64 count) {
    struct pipe *pipe = output_of(file);
    u64 total = 0;
    for (u64 i = 0; i < count; i++) {
        u64 at = vector[i].base, end = at + vector[i].length;
        while (at < end && !pipe_full(pipe)) {
            u64 piece = MIN(end - at, PAGE - at % PAGE);
            long done = pipe_lend(pipe, (const u8 *)at, (u32)piece, (u32)(at % PAGE), false);
            if (done <= 0)
                return total ? (long)total : done;
            at += piece, total += piece;
            pipe_tell(NULL, pipe);
        }
    }
    return (long)total;
}

long sys_vmsplice(long fd, long vector, long count, long flags) {
    struct file *file = fd_use(fd);
    bool never = flags & SPLICE_F_NONBLOCK; /* whatever the pipe has */
    if ((u32)flags & ~(u32)SPLICE_FLAGS)
        return -EINVAL;
    if (!file || (!readable(file) && !writable(file)))
        return -EBADF;
    const struct linux_iovec *each = (const struct linux_iovec *)vector;
    long size = vector_size(each, (u32)count);
    if (size <= 0)
        return size;
    if (!is_pipe(file))
        return -EBADF;
    long error = writable(file) ? pipe_await_room(file, never) : pipe_await_input(file, never);
    if (error)
        return error;
    return writable(file) ? give(file, each, (u32)count) : sys_readv(fd, vector, count);
}
