/* Signals as descriptors: signalfd. */
#include "core/signals.h"
#include "parts/fd/fd.h"

/* struct signalfd_siginfo (uapi linux/signalfd.h). */
struct read_signal {
    u32 signal;
    s32 error, code;
    u32 pid, uid;
    s32 fd;
    u32 timer, band, overrun, trap;
    s32 status, number;
    u64 value, user_time, system_time, address;
    u8 rest[48];
};
_Static_assert(sizeof(struct read_signal) == 128, "struct signalfd_siginfo");

struct descriptor {
    struct file *file;
    struct descriptor *next;
    u64 set;
};

static struct descriptor *descriptors;

/* A signal is sent: who waits for a descriptor that has it looks. */
static void sent(int number) {
    for (struct descriptor *each = descriptors; each; each = each->next)
        if (each->set & SIGNAL_BIT(number))
            file_changed(each->file, POLLIN);
}

/* What is told depends on how it was sent (kernel/signal.c: siginfo_layout). */
static struct read_signal told(const struct linux_siginfo *info) {
    struct read_signal out = {
        .signal = (u32)info->signal, .error = info->error, .code = info->code};
    bool queued = info->code < 0;
    if (info->code == SI_TIMER)
        out.timer = (u32)info->timer, out.overrun = (u32)info->overrun;
    else
        out.pid = (u32)info->pid, out.uid = info->uid;
    if (queued)
        out.value = info->value, out.number = (s32)info->value;
    return out;
}

static long read(struct file *file, void *to, u64 size) {
    const struct descriptor *own = file->object;
    struct read_signal *out = to;
    struct linux_siginfo info;
    u64 count = 0, most = size / sizeof *out;
    const struct waiting waits = {
        .deadline = FOREVER, .what = "a signal that nobody can send", .on = file, .restarts = true};
    if (!most)
        return -EINVAL;
    for (;;) {
        while (count < most && signal_take(own->set, &info))
            out[count++] = told(&info);
        if (count)
            return (long)(count * sizeof *out);
        long error = file->flags & O_NONBLOCK ? -EAGAIN : park(&waits);
        if (error)
            return error;
    }
}

static u32 poll(struct file *file) {
    const struct descriptor *own = file->object;
    return (current->own.set | signals_of_all.set) & own->set ? POLLIN : 0;
}

static void release(struct file *file) {
    struct descriptor **each = &descriptors;
    while (*each != file->object)
        each = &(*each)->next;
    *each = (*each)->next;
    heap_free(file->object);
}

static const struct file_ops signalfd_ops = {
    .read = read, .poll = poll, .stat = anonymous_stat, .seek = anonymous_seek, .release = release};

static long change(const struct file *file, u64 set) {
    if (!file || file->ops != &signalfd_ops)
        return file ? -EINVAL : -EBADF;
    struct descriptor *own = file->object;
    own->set = set;
    file_changed(own->file, ANYTHING);
    return 0;
}

long sys_signalfd4(long fd, long mask, long size, long flags) {
    if (size != 8)
        return -EINVAL;
    u64 set = *(const u64 *)mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
    if (flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    if ((s32)fd != -1) {
        long error = change(fd_use((s32)fd), set);
        return error ? error : (s32)fd;
    }
    struct descriptor *own = heap_alloc(sizeof *own);
    struct file *file =
        own ? file_new(&signalfd_ops, O_RDWR | ((u32)flags & O_NONBLOCK), own) : NULL;
    if (!file) {
        heap_free(own);
        return -ENOMEM;
    }
    *own = (struct descriptor){.file = file, .next = descriptors, .set = set};
    descriptors = own;
    signals_watched = sent;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

long sys_signalfd(long fd, long mask, long size) {
    return sys_signalfd4(fd, mask, size, 0);
}
