/* Named pipes: opened for reading they wait for a writer, and for writing for a reader. */
#include "core/park.h"
#include "parts/files/node.h"
#include "parts/pipes/pipe.h"

static long fifo_read(struct file *file, void *to, u64 size) {
    long done = end_read(file, to, size);
    if (done > 0 && !(file->flags & O_NOATIME))
        touch_accessed(file->named);
    return done;
}

static long fifo_write(struct file *file, const void *from, u64 size) {
    long done = end_write(file, from, size);
    if (done > 0)
        touch_modified(file->named);
    return done;
}

static long fifo_stat(struct file *file, struct linux_stat *to) {
    return node_stat(file->named, to);
}

static void fifo_release(struct file *file) {
    end_release(file);
    file->named->references--;
    node_release(file->named);
}

static const struct file_ops fifo_ops = {
    .read = fifo_read,
    .write = fifo_write,
    .stat = fifo_stat,
    .ioctl = end_ioctl,
    .poll = end_poll,
    .control = end_control,
    .release = fifo_release,
};

/* One that came and went meanwhile counts. */
static long await_other(const struct pipe *pipe, struct end *const *here, const u32 *ever) {
    const struct waiting waits = {.deadline = FOREVER,
                                  .restarts = true,
                                  .on = pipe,
                                  .what = "the other side of a named pipe that nobody else opens"};
    u32 before = *ever;
    long error = 0;
    while (!*here && *ever == before && !error)
        error = park(&waits);
    return error;
}

/* Its own end is there while it waits, so that the other side finds it. */
static long meet(struct pipe *pipe, const struct file *file) {
    u32 access = file->flags & O_ACCMODE;
    struct end *end = file->object;
    park_changed(pipe);
    if (access == O_RDONLY && file->flags & O_NONBLOCK && !pipe->writers)
        end->before = pipe->writers_came;
    if (access == O_RDWR || file->flags & O_NONBLOCK)
        return 0;
    if (access == O_RDONLY)
        return await_other(pipe, &pipe->writers, &pipe->writers_came);
    return await_other(pipe, &pipe->readers, &pipe->readers_came);
}

static struct file *file_of(struct node *node, struct pipe *pipe, long flags) {
    long access = flags & O_ACCMODE;
    struct file *file =
        pipe_file(access == O_WRONLY ? NULL : pipe, access == O_RDONLY ? NULL : pipe, flags);
    if (!file)
        return NULL;
    file->ops = &fifo_ops;
    file->flags |= ((u32)flags & ~(u32)(O_CLOEXEC | O_DIRECT)) | O_LARGEFILE;
    file->named = node;
    node->references++;
    return file;
}

static bool read_by_nobody(const struct extras *extras) {
    return !extras->pipe || !extras->pipe->readers;
}

long fifo_open(struct node *node, long flags) {
    struct extras *extras = node_extras(node);
    long access = flags & O_ACCMODE;
    if (access == O_ACCMODE)
        return -EINVAL;
    if (!extras)
        return -ENOMEM;
    if (access == O_WRONLY && flags & O_NONBLOCK && read_by_nobody(extras))
        return -ENXIO;
    bool is_new = !extras->pipe;
    struct pipe *pipe = is_new ? pipe_new() : extras->pipe;
    struct file *file = pipe ? file_of(node, pipe, flags) : NULL;
    if (!file && is_new)
        pipe_free(pipe);
    if (!file)
        return -ENOMEM;
    extras->pipe = pipe, pipe->kept = &extras->pipe;
    long error = meet(pipe, file);
    if (!error && flags & O_DIRECT)
        error = -EINVAL; /* packets are for pipes without a name */
    if (error) {
        file_release(file);
        return error;
    }
    return fd_install(file, 0, flags & O_CLOEXEC);
}
