/* Pipes, socket pairs and event counters inside the one program. */
#include "core/park.h"
#include "parts/fd/fd.h"

#define CAPACITY 65536UL
#define SIGNAL_PIPE 13

struct pipe {
    u8 *bytes;
    u64 head, used;
    u32 readers, writers;
};

/* An end: it reads from one pipe, writes to another, or both (a socket pair). */
struct end {
    struct pipe *in, *out;
    u32 mode;
    struct linux_timespec made;
};

static struct pipe *pipe_new(void) {
    struct pipe *pipe = heap_alloc(sizeof *pipe);
    if (!pipe)
        return NULL;
    pipe->bytes = heap_alloc(CAPACITY);
    if (pipe->bytes)
        return pipe;
    heap_free(pipe);
    return NULL;
}

static void pipe_drop(struct pipe *pipe) {
    if (!pipe || pipe->readers || pipe->writers)
        return;
    heap_free(pipe->bytes);
    heap_free(pipe);
}

/* Until another thread has changed what it waits `on`; 0: look again. */
static long wait_for(const struct file *file, const void *on, const char *what) {
    const struct waiting waits = {.deadline = FOREVER, .what = what, .restarts = true, .on = on};
    return file->flags & O_NONBLOCK ? -EAGAIN : park(&waits);
}

static long end_read(struct file *file, void *to, u64 size) {
    struct pipe *pipe = ((struct end *)file->object)->in;
    long error = 0;
    if (!pipe)
        return -EBADF;
    while (size && !pipe->used && pipe->writers && !error)
        error = wait_for(file, pipe, "input of a pipe that nobody else can write");
    if (error)
        return error;
    u64 total = MIN(size, pipe->used);
    for (u64 done = 0; done < total;) {
        u64 piece = MIN(total - done, CAPACITY - pipe->head);
        memcpy((u8 *)to + done, pipe->bytes + pipe->head, piece);
        pipe->head = (pipe->head + piece) % CAPACITY;
        done += piece;
    }
    pipe->used -= total;
    park_changed(pipe);
    return (long)total;
}

static void put_in(struct pipe *pipe, const u8 *from, u64 size) {
    while (size) {
        u64 tail = (pipe->head + pipe->used) % CAPACITY, piece = MIN(size, CAPACITY - tail);
        memcpy(pipe->bytes + tail, from, piece);
        pipe->used += piece;
        from += piece, size -= piece;
    }
}

static long end_write(struct file *file, const void *from, u64 size) {
    struct pipe *pipe = ((struct end *)file->object)->out;
    u64 done = 0, least = size <= PAGE ? size : 1; /* PIPE_BUF is atomic */
    long error = 0;
    if (!pipe)
        return -EBADF;
    while (done < size && !error) {
        u64 room = CAPACITY - pipe->used;
        if (!pipe->readers) {
            signal_raise(SIGNAL_PIPE);
            error = -EPIPE;
        } else if (room < least) {
            error = wait_for(file, pipe, "room in a pipe that nobody else can read");
        } else {
            room = MIN(room, size - done);
            put_in(pipe, (const u8 *)from + done, room);
            park_changed(pipe);
            done += room;
        }
    }
    return done ? (long)done : error;
}

static long end_stat(struct file *file, struct linux_stat *to) {
    const struct end *end = file->object;
    *to = (struct linux_stat){.dev = 2,
                              .ino = (u64)(end->in ? end->in : end->out),
                              .nlink = 1,
                              .mode = end->mode,
                              .blksize = PAGE,
                              .atime = end->made,
                              .mtime = end->made,
                              .ctime = end->made};
    return 0;
}

enum { FIONREAD = 0x541b };

static long end_ioctl(struct file *file, u64 request, u64 argument) {
    const struct end *end = file->object;
    if (request != FIONREAD)
        return -ENOTTY;
    *(s32 *)argument = (s32)(end->in ? end->in : end->out)->used;
    return 0;
}

static u32 end_poll(struct file *file) {
    struct end *end = file->object;
    u32 ready = 0;
    if (end->in)
        ready |= (end->in->used ? POLLIN : 0U) | (end->in->writers ? 0U : (u32)POLLHUP);
    if (end->in && !end->in->writers && end->out)
        ready |= POLLIN; /* the end of a stream can be read */
    if (end->out)
        ready |= (end->out->used + PAGE <= CAPACITY ? (u32)POLLOUT : 0U) |
                 (end->out->readers ? 0U : (u32)POLLERR);
    return ready;
}

static void end_release(struct file *file) {
    struct end *end = file->object;
    if (end->in)
        end->in->readers--;
    if (end->out)
        end->out->writers--;
    park_changed(end->in);
    park_changed(end->out);
    pipe_drop(end->in);
    if (end->out != end->in)
        pipe_drop(end->out);
    heap_free(end);
}

static const struct file_ops end_ops = {
    .read = end_read,
    .write = end_write,
    .stat = end_stat,
    .ioctl = end_ioctl,
    .poll = end_poll,
    .release = end_release,
};

static long open_end(struct pipe *in, struct pipe *out, u32 mode, long flags) {
    struct end *end = heap_alloc(sizeof *end);
    u32 access = in && out ? O_RDWR : in ? O_RDONLY : O_WRONLY;
    struct file *file = end ? file_new(&end_ops, access | ((u32)flags & O_NONBLOCK), end) : NULL;
    if (!file) {
        heap_free(end);
        return -ENOMEM;
    }
    u64 now = file_time();
    *end = (struct end){.in = in, .out = out, .mode = mode};
    end->made = (struct linux_timespec){(s64)(now / NANOSECONDS), (s64)(now % NANOSECONDS)};
    if (in)
        in->readers++;
    if (out)
        out->writers++;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

long sys_close(long fd);

static long open_both(struct pipe *a, struct pipe *b, u32 mode, long flags, s32 to[2]) {
    bool pair = a != b;
    s32 fds[2] = {0, 0};
    long first = open_end(a, pair ? b : NULL, mode, flags);
    if (first < 0)
        return first;
    long second = open_end(pair ? b : NULL, a, mode, flags);
    if (second < 0) {
        sys_close(first);
        return second;
    }
    fds[0] = (s32)first, fds[1] = (s32)second;
    memcpy(to, fds, sizeof fds);
    return 0;
}

long sys_pipe2(long to, long flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | 040000))
        return -EINVAL;
    struct pipe *pipe = pipe_new();
    if (!pipe)
        return -ENOMEM;
    return open_both(pipe, pipe, S_IFIFO | 0600, flags, (s32 *)to);
}

long sys_pipe(long to) {
    return sys_pipe2(to, 0);
}

enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_KIND = 0xf, EAFNOSUPPORT = 97, EPROTONOSUPPORT = 93 };

long sys_socketpair(long family, long kind, long protocol, long to) {
    if (family != AF_UNIX)
        return -EAFNOSUPPORT;
    if ((kind & SOCK_KIND) != SOCK_STREAM || protocol)
        return -EPROTONOSUPPORT;
    struct pipe *a = pipe_new(), *b = a ? pipe_new() : NULL;
    if (!b) {
        pipe_drop(a);
        return -ENOMEM;
    }
    return open_both(a, b, S_IFSOCK | 0777, kind, (s32 *)to);
}

enum { EFD_SEMAPHORE = 1 };

static long event_read(struct file *file, void *to, u64 size) {
    long error = 0;
    if (size < 8)
        return -EINVAL;
    while (!file->extra && !error)
        error = wait_for(file, file, "an event counter that nobody else can raise");
    if (error)
        return error;
    u64 value = file->object ? 1 : file->extra;
    *(u64 *)to = value;
    file->extra -= value;
    park_changed(file);
    return 8;
}

static long event_write(struct file *file, const void *from, u64 size) {
    u64 value = size != 8 ? ~0UL : *(const u64 *)from;
    long error = 0;
    if (value == ~0UL)
        return -EINVAL;
    while (file->extra > ~1UL - value && !error)
        error = wait_for(file, file, "an event counter that nobody else can lower");
    if (error)
        return error;
    file->extra += value;
    park_changed(file);
    return 8;
}

static u32 event_poll(struct file *file) {
    return (file->extra ? POLLIN : 0U) | (file->extra < ~1UL ? (u32)POLLOUT : 0U);
}

static long event_stat(struct file *file, struct linux_stat *to) {
    (void)file;
    *to = (struct linux_stat){.dev = 3, .ino = 1, .nlink = 1, .mode = 0600, .blksize = PAGE};
    return 0;
}

static long event_seek(struct file *file, long offset, int whence) {
    (void)file, (void)offset, (void)whence;
    return 0;
}

static const struct file_ops event_ops = {.read = event_read,
                                          .write = event_write,
                                          .seek = event_seek,
                                          .stat = event_stat,
                                          .poll = event_poll};

long sys_eventfd2(long value, long flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE))
        return -EINVAL;
    void *semaphore = flags & EFD_SEMAPHORE ? (void *)1 : NULL;
    struct file *file = file_new(&event_ops, O_RDWR | ((u32)flags & O_NONBLOCK), semaphore);
    if (!file)
        return -ENOMEM;
    file->extra = (u32)value;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

long sys_eventfd(long value) {
    return sys_eventfd2(value, 0);
}
