/* The ends of pipes, as open files inside the one program. */
#include "core/park.h"
#include "parts/pipes/pipe.h"

#define SIGNAL_PIPE 13

static void tell_readers(const struct pipe *pipe, u32 events) {
    for (struct end *each = pipe ? pipe->readers : NULL; each; each = each->next_reader)
        file_changed(each->file, events);
}

static void tell_writers(const struct pipe *pipe, u32 events) {
    for (struct end *each = pipe ? pipe->writers : NULL; each; each = each->next_writer)
        file_changed(each->file, events);
}

/* Until another thread has changed the file; 0: look again. */
static long wait_for(const struct file *file, bool never, const char *what) {
    const struct waiting waits = {.deadline = FOREVER, .what = what, .on = file, .restarts = true};
    return never ? -EAGAIN : park(&waits);
}

long pipe_await_input(struct file *file, bool never) {
    const struct pipe *pipe = ((struct end *)file->object)->in;
    long error = 0;
    while (!pipe->used && pipe->writers && !error)
        error = wait_for(file, never, "input of a pipe that nobody else can write");
    return error;
}

long pipe_await_room(struct file *file, bool never) {
    const struct pipe *pipe = ((struct end *)file->object)->out;
    long error = 0;
    while (pipe->readers && pipe_full(pipe) && !error)
        error = wait_for(file, never, "room in a pipe that nobody else can read");
    if (pipe->readers || error)
        return error;
    signal_raise(SIGNAL_PIPE);
    return -EPIPE;
}

void pipe_tell(struct pipe *read, struct pipe *written) {
    if (read)
        tell_writers(read, POLL_WRITABLE);
    if (written)
        tell_readers(written, POLL_READABLE);
}

long end_read(struct file *file, void *to, u64 size) {
    struct pipe *pipe = ((struct end *)file->object)->in;
    long error = 0;
    if (!pipe)
        return -EBADF;
    if (size)
        error = pipe_await_input(file, file->flags & O_NONBLOCK);
    if (error)
        return error;
    bool was_full = pipe_full(pipe);
    u64 total = pipe_take(pipe, to, size);
    if (was_full)
        tell_writers(pipe, POLL_WRITABLE);
    return (long)total;
}

/* All of it, or what there is room for and then why not more. */
long end_write(struct file *file, const void *from, u64 size) {
    struct pipe *pipe = ((struct end *)file->object)->out;
    bool packets = file->flags & O_DIRECT;
    u64 done = 0;
    long error = 0;
    if (!pipe)
        return -EBADF;
    while (done < size && !error) {
        if (pipe->readers)
            error = pipe_put(pipe, (const u8 *)from + done, size - done, packets);
        if (error > 0) {
            done += (u64)error, error = 0;
            tell_readers(pipe, POLL_READABLE);
        } else if (!error) {
            error = pipe_await_room(file, file->flags & O_NONBLOCK);
        }
        error = MIN(error, 0);
    }
    if (size && !done)
        tell_readers(pipe, POLL_READABLE); /* as Linux: an edge for every try */
    return done ? (long)done : error;
}

static long end_stat(struct file *file, struct linux_stat *to) {
    const struct end *end = file->object;
    *to = (struct linux_stat){.dev = 2,
                              .ino = (u64)(end->in ? end->in : end->out),
                              .nlink = 1,
                              .mode = S_IFIFO | 0600,
                              .blksize = PAGE,
                              .atime = end->made,
                              .mtime = end->made,
                              .ctime = end->made};
    return 0;
}

enum { FIONREAD = 0x541b };

long end_ioctl(struct file *file, u64 request, u64 argument) {
    const struct end *end = file->object;
    if (request != FIONREAD)
        return -ENOTTY;
    *(s32 *)argument = (s32)pipe_bytes(end->in ? end->in : end->out);
    return 0;
}

enum { F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032 };
#define PIPE_MOST (1UL << 31)

long end_control(struct file *file, u32 command, long argument) {
    const struct end *end = file->object;
    struct pipe *pipe = end->in ? end->in : end->out;
    u64 size = PAGE, wanted = (u32)argument;
    if (command != F_SETPIPE_SZ && command != F_GETPIPE_SZ)
        return -EINVAL;
    if (command == F_SETPIPE_SZ) {
        if (wanted > PIPE_MOST)
            return -EINVAL;
        while (size < wanted)
            size *= 2;
        bool was_full = pipe_full(pipe);
        long error = pipe_resize(pipe, size / PAGE);
        if (error)
            return error;
        if (was_full && !pipe_full(pipe))
            tell_writers(pipe, POLL_WRITABLE);
    }
    return (long)(pipe->size * PAGE);
}

u32 end_poll(struct file *file) {
    const struct end *end = file->object;
    u32 ready = 0;
    if (end->in && end->in->used)
        ready |= POLL_READABLE;
    if (end->in && !end->in->writers && end->before != end->in->writers_came)
        ready |= POLLHUP;
    if (end->out && !pipe_full(end->out))
        ready |= POLL_WRITABLE;
    if (end->out && !end->out->readers)
        ready |= POLLERR;
    return ready;
}

static void leave(struct end *end) {
    struct end **reader = end->in ? &end->in->readers : NULL;
    struct end **writer = end->out ? &end->out->writers : NULL;
    while (reader && *reader != end)
        reader = &(*reader)->next_reader;
    while (writer && *writer != end)
        writer = &(*writer)->next_writer;
    if (reader)
        *reader = end->next_reader;
    if (writer)
        *writer = end->next_writer;
}

/* The other side of a pipe hears of the last one here. */
static void ended(struct pipe *pipe) {
    if (pipe && !pipe->readers && !pipe->writers) {
        if (pipe->kept)
            *pipe->kept = NULL;
        pipe_free(pipe);
    } else if (pipe && (!pipe->readers || !pipe->writers)) {
        tell_readers(pipe, ANYTHING);
        tell_writers(pipe, ANYTHING);
    }
}

void end_release(struct file *file) {
    struct end *end = file->object;
    leave(end);
    ended(end->in);
    if (end->out != end->in)
        ended(end->out);
    heap_free(end);
}

static const struct file_ops end_ops = {
    .read = end_read,
    .write = end_write,
    .stat = end_stat,
    .ioctl = end_ioctl,
    .poll = end_poll,
    .control = end_control,
    .release = end_release,
};

struct file *pipe_file(struct pipe *in, struct pipe *out, long flags) {
    struct end *end = heap_alloc(sizeof *end);
    u32 access = in && out ? O_RDWR : in ? O_RDONLY : O_WRONLY;
    u32 kept = (u32)flags & (out ? O_NONBLOCK | O_DIRECT : O_NONBLOCK);
    struct file *file = end ? file_new(&end_ops, access | kept, end) : NULL;
    if (!file) {
        heap_free(end);
        return NULL;
    }
    u64 now = file_time();
    *end = (struct end){.in = in, .out = out, .file = file};
    end->made = (struct linux_timespec){(s64)(now / NANOSECONDS), (s64)(now % NANOSECONDS)};
    if (in)
        end->next_reader = in->readers, in->readers = end, in->readers_came++;
    if (out)
        end->next_writer = out->writers, out->writers = end, out->writers_came++;
    return file;
}

static long open_end(struct pipe *in, struct pipe *out, long flags) {
    struct file *file = pipe_file(in, out, flags);
    return file ? fd_install(file, 0, flags & O_CLOEXEC) : -ENOMEM;
}

long sys_close(long fd);

/* Both ends, or none and what is left of the pipe is freed. */
static long open_both(struct pipe *pipe, long flags, s32 to[2]) {
    s32 fds[2] = {0, 0};
    long first = open_end(pipe, NULL, flags);
    long second = first < 0 ? first : open_end(NULL, pipe, flags);
    if (first >= 0 && second < 0)
        sys_close(first);
    if (second < 0)
        return second;
    fds[0] = (s32)first, fds[1] = (s32)second;
    memcpy(to, fds, sizeof fds);
    return 0;
}

long sys_pipe2(long to, long flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    struct pipe *pipe = pipe_new();
    if (!pipe)
        return -ENOMEM;
    return open_both(pipe, flags, (s32 *)to);
}

long sys_pipe(long to) {
    return sys_pipe2(to, 0);
}
