/* Sending and receiving, and being told of what came. */
#include "core/park.h"
#include "parts/clock/clock.h"
#include "parts/mqueue/mqueue.h"

enum { MOST_PRIORITY = 32768, SI_MESGQ = -3, OWN_ID = 1 };
enum { SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2 };

static long wait_for(struct queue *queue, const struct file *file, s64 deadline, const char *what) {
    const struct waiting waits = {
        .deadline = deadline, .what = what, .on = queue, .restarts = true};
    return file->flags & O_NONBLOCK ? -EAGAIN : park(&waits);
}

/* Once, and nobody is told again until somebody wants it. */
static void tell(struct queue *queue) {
    const struct notified to = queue->notified;
    const struct linux_siginfo info = {
        .signal = to.signal, .code = SI_MESGQ, .pid = OWN_ID, .value = to.value};
    queue->notified = (struct notified){0};
    if (to.by && !to.silent && to.signal)
        signal_send_copy(NULL, &info);
}

static void put(struct queue *queue, struct message *message) {
    struct message **at = &queue->first;
    while (*at && (*at)->priority >= message->priority)
        at = &(*at)->next;
    message->next = *at;
    *at = message;
    queue->count++;
}

/* What the program has there could be written meanwhile: a bad pointer ends the call here. */
static struct message *copy_of(const u8 *from, u64 size, u32 priority) {
    if (size)
        (void)*(const volatile u8 *)from, (void)*(const volatile u8 *)(from + size - 1);
    struct message *message = heap_alloc(sizeof *message + size);
    if (message) {
        message->size = size, message->priority = priority;
        memcpy(message->bytes, from, size);
    }
    return message;
}

static long send(long fd, long from, u64 size, u32 priority, s64 deadline) {
    struct file *file;
    struct queue *queue = queue_of(fd, &file);
    long error = 0;
    if (priority >= MOST_PRIORITY)
        return -EINVAL;
    if (!queue || !writable(file))
        return -EBADF;
    if (size > queue->largest)
        return -EMSGSIZE;
    struct message *message = copy_of((const u8 *)from, size, priority);
    if (!message)
        return -ENOMEM;
    while (queue->count >= queue->most && !error)
        error = wait_for(queue, file, deadline, "room in a queue that nobody else reads");
    if (error) {
        heap_free(message);
        return error;
    }
    bool tells = !queue->count && !queue->receiving;
    put(queue, message);
    queue_changed(queue, POLL_READABLE);
    if (tells)
        tell(queue);
    return 0;
}

static long receive(long fd, long to, u64 size, long priority, s64 deadline) {
    struct file *file;
    struct queue *queue = queue_of(fd, &file);
    long error = 0;
    if (!queue || !readable(file))
        return -EBADF;
    if (size < queue->largest)
        return -EMSGSIZE;
    queue->receiving++;
    while (!queue->count && !error)
        error = wait_for(queue, file, deadline, "a message that nobody else sends");
    queue->receiving--;
    if (error)
        return error;
    struct message *message = queue->first;
    long length = (long)message->size;
    if (priority)
        *(u32 *)priority = message->priority;
    memcpy((void *)to, message->bytes, message->size);
    queue->first = message->next;
    queue->count--;
    heap_free(message);
    queue_changed(queue, POLL_WRITABLE);
    return length;
}

/* 0, or the error of a time that cannot be. */
static long moment(long timeout, s64 *deadline) {
    const struct linux_timespec *time = (const struct linux_timespec *)timeout;
    if (!time_is_valid(time))
        return -EINVAL;
    *deadline = clock_moment(CLOCK_REALTIME, TIMER_ABSTIME, nanoseconds_of(time));
    return 0;
}

long sys_mq_timedsend(long fd, long from, long size, long priority, long timeout) {
    s64 deadline = FOREVER;
    long error = timeout ? moment(timeout, &deadline) : 0;
    return error ? error : send(fd, from, (u64)size, (u32)priority, deadline);
}

long sys_mq_send_untimed(long fd, long from, long size, long priority, long timeout) {
    (void)timeout;
    return send(fd, from, (u64)size, (u32)priority, FOREVER);
}

long sys_mq_timedreceive(long fd, long to, long size, long priority, long timeout) {
    s64 deadline = FOREVER;
    long error = timeout ? moment(timeout, &deadline) : 0;
    return error ? error : receive(fd, to, (u64)size, priority, deadline);
}

long sys_mq_receive_untimed(long fd, long to, long size, long priority, long timeout) {
    (void)timeout;
    return receive(fd, to, (u64)size, priority, FOREVER);
}

struct linux_sigevent {
    u64 value;
    s32 signal, notify;
};

static long check(const struct linux_sigevent *event) {
    if (event->notify == SIGEV_THREAD)
        return -EBADF; /* the socket that would tell it is none */
    if (event->notify != SIGEV_NONE && event->notify != SIGEV_SIGNAL)
        return -EINVAL;
    bool signal = event->signal >= 0 && event->signal < SIGNALS;
    return event->notify == SIGEV_SIGNAL && !signal ? -EINVAL : 0;
}

long sys_mq_notify(long fd, long from) {
    struct linux_sigevent event = {0};
    struct file *file;
    if (from)
        event = *(const struct linux_sigevent *)from;
    long error = from ? check(&event) : 0;
    struct queue *queue = error ? NULL : queue_of(fd, &file);
    if (!queue)
        return error ? error : -EBADF;
    if (!from) {
        queue->notified = (struct notified){0};
        return 0;
    }
    if (queue->notified.by)
        return -EBUSY;
    queue->notified =
        (struct notified){file, event.notify == SIGEV_NONE, event.signal, event.value};
    return 0;
}
