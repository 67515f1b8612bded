/* Queues and their names: mq_open, mq_unlink, and what a descriptor of one can do. */
#include "parts/mqueue/mqueue.h"
#include "core/park.h"

enum { MOST_MESSAGES = 65536, LARGEST_MESSAGE = 1 << 24, USUAL_MOST = 10, USUAL_SIZE = 8192 };
enum { QUEUE_SIZE = 80 };

struct linux_mq_attr {
    s64 flags, most, largest, count, rest[4];
};

static struct queue *queues;

struct queue *queue_of(long fd, struct file **file) {
    *file = fd_use(fd);
    return *file && (*file)->ops == &queue_ops ? (*file)->object : NULL;
}

static void give_up(struct queue *queue) {
    struct queue **each = &queues;
    if (queue->opened || queue->named)
        return;
    while (*each != queue)
        each = &(*each)->next;
    *each = queue->next;
    for (struct message *message = queue->first, *next; message; message = next) {
        next = message->next;
        heap_free(message);
    }
    heap_free(queue);
}

static void release(struct file *file) {
    struct queue *queue = file->object;
    if (queue->notified.by == file)
        queue->notified = (struct notified){0};
    struct opened **each = &queue->opened, *own;
    while ((*each)->file != file)
        each = &(*each)->next;
    own = *each;
    *each = own->next;
    heap_free(own);
    give_up(queue);
}

void queue_changed(struct queue *queue, u32 events) {
    park_changed(queue);
    for (struct opened *each = queue->opened; each; each = each->next)
        file_changed(each->file, events);
}

static u32 poll(struct file *file) {
    const struct queue *queue = file->object;
    return (queue->count ? POLL_READABLE : 0) |
           (u32)(queue->count < queue->most ? POLL_WRITABLE : 0);
}

static long stat(struct file *file, struct linux_stat *to) {
    const struct queue *queue = file->object;
    struct linux_timespec made = {queue->made / NANOSECONDS, queue->made % NANOSECONDS};
    *to = (struct linux_stat){.dev = 0x15,
                              .ino = (u64)queue >> 4,
                              .nlink = queue->named,
                              .mode = S_IFREG | queue->mode,
                              .size = QUEUE_SIZE,
                              .blksize = PAGE,
                              .atime = made,
                              .mtime = made,
                              .ctime = made};
    return 0;
}

const struct file_ops queue_ops = {.poll = poll, .stat = stat, .release = release};

static struct queue *find(const char *name, u64 length) {
    for (struct queue *each = queues; each; each = each->next)
        if (each->named && each->length == length && !memcmp(each->name, name, length))
            return each;
    return NULL;
}

static long check_name(const char *name, u64 *length) {
    *length = strlen(name);
    if (!*length)
        return -ENOENT;
    if (*length >= PATH_MAX)
        return -ENAMETOOLONG;
    for (u64 i = 0; i < *length; i++)
        if (name[i] == '/')
            return -EACCES;
    bool folder = name[0] == '.' && (*length == 1 || (*length == 2 && name[1] == '.'));
    return folder ? -EACCES : *length > NAME_MAX ? -ENAMETOOLONG : 0;
}

static long make(const char *name, u64 length, u32 mode, const struct linux_mq_attr *wish,
                 struct queue **made) {
    struct queue *queue = NULL;
    if (wish->most <= 0 || wish->largest <= 0 || wish->most > MOST_MESSAGES ||
        wish->largest > LARGEST_MESSAGE)
        return -EINVAL;
    queue = heap_alloc(sizeof *queue);
    if (!queue)
        return -ENOMEM;
    *queue = (struct queue){.next = queues, .named = true, .length = length};
    queue->most = (u64)wish->most, queue->largest = (u64)wish->largest;
    queue->mode = mode, queue->made = (s64)file_time();
    memcpy(queue->name, name, length);
    *made = queues = queue;
    return 0;
}

/* The name comes as the C library passes it: without its slash. */
long sys_mq_open(long path, long flags, long mode, long attributes) {
    struct linux_mq_attr wish = {.most = USUAL_MOST, .largest = USUAL_SIZE};
    const char *name = (const char *)path;
    u64 length;
    if (attributes)
        wish = *(const struct linux_mq_attr *)attributes;
    long error = check_name(name, &length);
    long fd = error ? error : fd_lowest(0);
    if (fd < 0)
        return fd;
    struct queue *queue = find(name, length);
    if (queue && flags & O_CREAT && flags & O_EXCL)
        return -EEXIST;
    if (queue && (flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    if (!queue)
        error = flags & O_CREAT ? make(name, length, (u32)mode & 0777, &wish, &queue) : -ENOENT;
    if (error)
        return error;
    struct opened *own = heap_alloc(sizeof *own);
    struct file *file =
        own ? file_new(&queue_ops, (u32)flags & (O_ACCMODE | O_NONBLOCK), queue) : NULL;
    if (!file) {
        heap_free(own);
        return -ENOMEM;
    }
    *own = (struct opened){.next = queue->opened, .file = file};
    queue->opened = own;
    return fd_install(file, 0, true);
}

long sys_mq_unlink(long path) {
    u64 length;
    long error = check_name((const char *)path, &length);
    struct queue *queue = error ? NULL : find((const char *)path, length);
    if (!queue)
        return error ? error : -ENOENT;
    queue->named = false;
    give_up(queue);
    return 0;
}

long sys_mq_getsetattr(long fd, long new, long old) {
    struct linux_mq_attr wish = {0};
    struct file *file;
    if (new)
        wish = *(const struct linux_mq_attr *)new;
    if (wish.flags & ~(s64)O_NONBLOCK)
        return -EINVAL;
    struct queue *queue = queue_of(fd, &file);
    if (!queue)
        return -EBADF;
    struct linux_mq_attr now = {.flags = file->flags & O_NONBLOCK,
                                .most = (s64)queue->most,
                                .largest = (s64)queue->largest,
                                .count = (s64)queue->count};
    if (new)
        file->flags = (file->flags & ~(u32)O_NONBLOCK) | (u32)wish.flags;
    if (old)
        *(struct linux_mq_attr *)old = now;
    return 0;
}
