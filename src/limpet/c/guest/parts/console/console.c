/* Standard input, output and error: the host's, a stream each, through hypercalls. */
#include "core/thread.h"
#include "parts/fd/fd.h"
#include "parts/snapshot/snapshot.h"

enum {
    TCGETS = 0x5401,
    TCSETS = 0x5402,
    TCSETSW = 0x5403,
    TCSETSF = 0x5404,
    TCSBRK = 0x5409,
    TCXONC = 0x540a,
    TCFLSH = 0x540b,
    TIOCGPGRP = 0x540f,
    TIOCSPGRP = 0x5410,
    TIOCOUTQ = 0x5411,
    TIOCSTI = 0x5412,
    TIOCGWINSZ = 0x5413,
    TIOCINQ = 0x541b,
    TIOCGSID = 0x5429,
    TERMIOS_SIZE = 36
};

static struct stdio_info *info_of(const struct file *file) {
    return &boot_info.stdio[file->extra];
}

#define INPUT 1UL /* of hypercall_wait */

/* All that reads input, or asks whether there is some, comes here first. */
static bool input_wanted(bool waits) {
    return !guest_snapshot || guest_snapshot->input(waits);
}

static bool input_ready(void) {
    if (!input_wanted(false))
        return false;
    struct wait block = {.deadline = 0, .want = INPUT};
    host_time.wait(&block);
    return block.ready;
}

static long read_now(void *to, u64 size) {
    struct console_in block = {.address = (u64)to, .length = MIN(size, MAX_TRANSFER)};
    hypercall_console_in(&block);
    if (block.result == -EFAULT && memory_present((u64)to, block.length))
        hypercall_console_in(&block);
    return block.result;
}

static long console_read(struct file *file, void *to, u64 size) {
    const struct waiting waits = {
        .deadline = FOREVER, .want = INPUT, .in_host = true, .restarts = true};
    file->reads++;
    bool alone = false;
    long error = 0;
    input_wanted(true);
    if (!size)
        return 0;
    do
        alone = !threads->next, error = park(&waits);
    while (!error && scheduler && !alone && scheduler->input_taken());
    return error ? error : read_now(to, size);
}

static long read_if_ready(struct file *file, void *to, u64 size) {
    file->reads++;
    if (!size)
        return 0;
    return input_ready() ? read_now(to, size) : -EAGAIN;
}

#define EPIPE_SIGNAL 13

static long console_write(struct file *file, const void *from, u64 size) {
    u32 fd = file->extra == 2 ? 2 : 1;
    u64 total = 0;
    while (total < size) {
        struct console_out block = {
            .fd = fd, .address = (u64)from + total, .length = MIN(size - total, MAX_TRANSFER)};
        hypercall_console_out(&block);
        if (block.result == -EFAULT && memory_present(block.address, block.length))
            hypercall_console_out(&block);
        if (block.result < 0) {
            if (block.result == -EPIPE)
                signal_raise(EPIPE_SIGNAL);
            return total ? (long)total : block.result;
        }
        total += (u64)block.result;
        if ((u64)block.result < block.length)
            break;
    }
    return (long)total;
}

static RARE long console_stat(struct file *file, struct linux_stat *to) {
    const struct stdio_info *info = info_of(file);
    bool device = (info->mode & S_IFMT) == S_IFCHR;
    *to = (struct linux_stat){.dev = info->is_tty ? PTS_DEVICE : 1,
                              .ino = info->is_tty ? PTS_INODE : file->extra + 1,
                              .nlink = 1,
                              .mode = info->mode,
                              .rdev = info->is_tty ? PTS_NUMBER
                                      : device     ? NULL_NUMBER
                                                   : 0,
                              .size = (s64)info->size,
                              .blksize = 1024,
                              .blocks = (s64)(info->size + 511) / 512};
    return 0;
}

/* Remembered, and set where the plan has the terminal. */
static long set_modes(struct file *file, u64 request, const void *modes) {
    struct terminal block = {.fd = file->extra, .request = request};
    memcpy(block.bytes, modes, TERMIOS_SIZE);
    if (host_terminal)
        host_terminal(&block);
    if (block.result == 0)
        for (u64 fd = 0; fd < 3; fd++) /* they are one terminal, as a rule */
            memcpy(boot_info.stdio[fd].termios, block.bytes, TERMIOS_SIZE);
    return block.result;
}

static void ask_size(const struct file *file) {
    struct terminal block = {.fd = file->extra, .request = TIOCGWINSZ};
    struct stdio_info *info = info_of(file);
    if (!host_terminal)
        return;
    host_terminal(&block);
    if (block.result == 0) {
        memcpy(&info->rows, block.bytes, sizeof info->rows);
        memcpy(&info->columns, block.bytes + sizeof info->rows, sizeof info->columns);
    }
}

static long console_ioctl(struct file *file, u64 request, u64 argument) {
    struct stdio_info *info = info_of(file);
    if (!info->is_tty)
        return -ENOTTY;
    switch (request) {
    case TCGETS:
        memcpy((void *)argument, info->termios, TERMIOS_SIZE);
        return 0;
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return set_modes(file, request, (const void *)argument);
    case TIOCGWINSZ:
        ask_size(file);
        *(u64 *)argument = info->rows | (u64)info->columns << 16;
        return 0;
    case TIOCGPGRP:
        *(s32 *)argument = 1;
        return 0;
    case TIOCSPGRP:
        return *(s32 *)argument == 1 ? 0 : -EPERM;
    case TCSBRK:
    case TCFLSH:
    case TCXONC:
        return 0;
    case TIOCGSID:
        *(s32 *)argument = 1;
        return 0;
    case TIOCINQ:
    case TIOCOUTQ:
        *(s32 *)argument = 0;
        return 0;
    case TIOCSTI: /* what it puts there, the starter's shell would read */
        return -EPERM;
    default:
        return -ENOTTY;
    }
}

static u32 console_poll(struct file *file) {
    return file->extra == 0 ? (input_ready() ? POLL_READABLE : 0) : POLL_WRITABLE;
}

static u64 console_awaited(const struct file *file) {
    return file->extra == 0 ? INPUT : 0;
}

const struct file_ops console_ops = {
    .read = console_read,
    .write = console_write,
    .stat = console_stat,
    .ioctl = console_ioctl,
    .poll = console_poll,
    .awaited = console_awaited,
};

const struct file_ops console_nonblocking_ops = {
    .read = read_if_ready,
    .write = console_write,
    .stat = console_stat,
    .ioctl = console_ioctl,
    .poll = console_poll,
    .awaited = console_awaited,
};
