/* fcntl and ioctl: what is asked of a descriptor besides reading and writing. */
#include "parts/fd/fd.h"
#include "parts/fd/locks.h"

enum {
    F_DUPFD = 0,
    F_GETFD = 1,
    F_SETFD = 2,
    F_GETFL = 3,
    F_SETFL = 4,
    F_SETOWN = 8,
    F_GETOWN = 9,
    F_SETSIG = 10,
    F_GETSIG = 11,
    F_SETOWN_EX = 15,
    F_GETOWN_EX = 16,
    F_GETLEASE = 1025,
    F_DUPFD_QUERY = 1027,
    F_DUPFD_CLOEXEC = 1030,
    F_SETPIPE_SZ = 1031,
    F_GETPIPE_SZ = 1032,
    F_ADD_SEALS = 1033,
    F_GET_RW_HINT = 1035,
    F_SET_RW_HINT = 1036
};

#define SETTABLE (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)
#define HIDDEN (O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC)
#define OWN_ID 1
#define MOST_SIGNAL 64UL
#define MOST_HINT 5UL

static void file_set_flags(struct file *file, u32 flags) {
    file->flags = (file->flags & ~(u32)SETTABLE) | (flags & SETTABLE);
    if (file->ops == &console_ops || file->ops == &console_nonblocking_ops)
        file->ops = flags & O_NONBLOCK ? &console_nonblocking_ops : &console_ops;
}

enum owner_kind { OWNER_THREAD, OWNER_PROCESS, OWNER_GROUP, OWNER_KINDS };

struct owner {
    s32 kind, id;
};

static long set_owner(struct file *file, struct owner owner) {
    if (owner.id && owner.id != OWN_ID)
        return -ESRCH;
    file->owner = owner.id, file->owner_kind = owner.kind;
    return 0;
}

static long control_owner(struct file *file, u32 command, long argument) {
    struct owner *given = (struct owner *)argument;
    s32 id = (s32)argument;
    switch (command) {
    case F_SETOWN:
        if (id == (s32)0x80000000)
            return -EINVAL;
        return set_owner(file, (struct owner){id < 0 ? OWNER_GROUP : OWNER_PROCESS, MAX(id, -id)});
    case F_GETOWN:
        return file->owner_kind == OWNER_GROUP ? -file->owner : file->owner;
    case F_SETOWN_EX:
        return (u32)given->kind < OWNER_KINDS ? set_owner(file, *given) : -EINVAL;
    default:
        *given = (struct owner){file->owner_kind, file->owner};
        return 0;
    }
}

static long control_hint(u32 command, u64 *hint) {
    if (command == F_SET_RW_HINT)
        return *hint > MOST_HINT ? -EINVAL : 0;
    *hint = 0;
    return 0;
}

/* What only one kind of file has: memfd_create's seals, the size of a pipe. */
static long control_kind(struct file *file, u32 command, long argument) {
    bool of_pipe = command == F_SETPIPE_SZ || command == F_GETPIPE_SZ;
    if (!of_pipe && command == F_ADD_SEALS && !writable(file))
        return -EPERM;
    long done = file->ops->control ? file->ops->control(file, command, argument) : -EINVAL;
    return done == -EINVAL && of_pipe && !file->ops->control ? -EBADF : done;
}

static long control_file(struct file *file, u32 command, long argument) {
    switch (command) {
    case F_SETOWN:
    case F_GETOWN:
    case F_SETOWN_EX:
    case F_GETOWN_EX:
        return control_owner(file, command, argument);
    case F_SETSIG:
        if ((u32)argument > MOST_SIGNAL)
            return -EINVAL;
        file->signal = (u32)argument;
        return 0;
    case F_GETSIG:
        return file->signal;
    case F_GETLEASE:
        return F_UNLCK;
    case F_GET_RW_HINT:
    case F_SET_RW_HINT:
        return control_hint(command, (u64 *)argument);
    default:
        if (locks_command(command))
            return locks_control(file, command, argument);
        return control_kind(file, command, argument);
    }
}

/* All but F_SETFL. */
long sys_fcntl_kept(long fd, long command, long argument) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    switch ((u32)command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return fd_duplicate(fd, argument, (u32)command == F_DUPFD_CLOEXEC);
    case F_DUPFD_QUERY:
        return fd_get(argument) ? fd_get(argument) == file : -EBADF;
    case F_GETFD:
        return fd_on_exec(fd);
    case F_SETFD:
        fd_set_on_exec(fd, argument & 1);
        return 0;
    case F_GETFL:
        return file->flags & ~(u32)HIDDEN;
    default:
        return file->flags & O_PATH ? -EBADF : control_file(file, (u32)command, argument);
    }
}

/* Past caches: what has none, and files, where it changes nothing. */
static bool may_be_direct(struct file *file) {
    struct linux_stat stat = {0};
    file->ops->stat(file, &stat);
    u32 kind = stat.mode & S_IFMT;
    return kind == S_IFREG || kind == S_IFBLK || kind == S_IFIFO;
}

long sys_fcntl(long fd, long command, long argument) {
    struct file *file = (u32)command == F_SETFL ? fd_use(fd) : NULL;
    if (!file)
        return sys_fcntl_kept(fd, command, argument);
    if (argument & O_DIRECT && !may_be_direct(file))
        return -EINVAL;
    long error = file_tell_by_signals(file, fd, argument & O_ASYNC);
    if (!error)
        file_set_flags(file, (u32)argument);
    return error;
}

enum { FIONCLEX = 0x5450, FIOCLEX = 0x5451, FIONBIO = 0x5421, FIOASYNC = 0x5452 };

/* All but FIONBIO and FIOASYNC. */
long sys_ioctl_kept(long fd, long request, long argument) {
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    switch ((u32)request) {
    case FIOCLEX:
    case FIONCLEX:
        fd_set_on_exec(fd, (u32)request == FIOCLEX);
        return 0;
    default:
        return file->ops->ioctl ? file->ops->ioctl(file, (u32)request, (u64)argument) : -ENOTTY;
    }
}

long sys_ioctl(long fd, long request, long argument) {
    bool sets = (u32)request == FIONBIO || (u32)request == FIOASYNC;
    struct file *file = sets ? fd_use(fd) : NULL;
    if (!file)
        return sys_ioctl_kept(fd, request, argument);
    if ((u32)request == FIOASYNC)
        return file_tell_by_signals(file, fd, *(s32 *)argument);
    u32 wanted = *(s32 *)argument ? O_NONBLOCK : 0;
    file_set_flags(file, (file->flags & ~(u32)O_NONBLOCK) | wanted);
    return 0;
}
