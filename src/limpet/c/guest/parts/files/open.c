/* Opening: open(2) and its relatives. */
#include "parts/files/names.h"
#include "parts/terminals/reach.h"

static u32 file_mask = 022;

long (*open_fifo)(struct node *node, long flags);

long sys_umask(long mask) {
    u32 before = file_mask;
    file_mask = (u32)mask & 0777;
    return before;
}

u32 masked(long mode) {
    return (u32)mode & 07777 & ~file_mask;
}

static long create(struct walked *walked, long mode) {
    if (!walked->parent->links || names_kept(walked))
        return -ENOENT;
    long error = may(walked->parent, MAY_WRITE | MAY_EXECUTE);
    if (error)
        return error;
    struct node *node = node_new(S_IFREG | masked(mode));
    if (!node)
        return -ENOSPC;
    made_in(node, walked->parent);
    error = directory_add(walked->parent, walked->name, walked->length, node);
    if (error) {
        node_release(node);
        return error;
    }
    touch_modified(walked->parent);
    walked->node = node;
    name_changed(walked, node, CHANGED_CREATED, 0);
    return 0;
}

/* What a link of /proc leads to and has no name: the open file itself again. */
static long open_again(struct file *file, long flags) {
    struct linux_stat stat = {0};
    file->ops->stat(file, &stat);
    u32 kind = stat.mode & S_IFMT;
    if (flags & O_DIRECTORY)
        return -ENOTDIR;
    if (kind != S_IFIFO && kind != S_IFCHR && kind != S_IFREG)
        return -ENXIO;
    file->references++;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

/* A volume's is opened by its name once more, as it is asked now; that may be another file's. */
static long by_name(struct file *file, struct walked *walked) {
    struct linux_stat open, named = {0};
    long error = file->ops->stat(file, &open);
    guest_volumes->start(file, walked);
    walked->rest = "";
    if (!error)
        error = guest_volumes->find(walked, LAST_FOLLOWED);
    if (!error && walked->file)
        error = walked->file->ops->stat(walked->file, &named);
    if (!error && (named.ino != open.ino || named.dev != open.dev))
        error = -ENOENT;
    guest_volumes->start(file, walked);
    walked->rest = "";
    return error;
}

static long check(const struct node *node, long flags) {
    bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
    if (flags & O_DIRECTORY && !is_directory(node))
        return -ENOTDIR;
    if (is_link(node))
        return flags & O_PATH ? 0 : -ELOOP;
    bool fifo = (node->mode & S_IFMT) == S_IFIFO;
    if (flags & O_DIRECT && !is_regular(node) && node->device != DEVICE_DISK && !fifo)
        return is_directory(node) && writes ? -EISDIR : -EINVAL;
    if (node->device == DEVICE_DISK && writes && !(flags & O_PATH)) {
        const struct manifest *devices = (const struct manifest *)guest_info.devices;
        return devices->entries[node->capacity].read_only ? -EACCES : 0;
    }
    if (node->device == DEVICE_SYNTHETIC && writes && !(node->mode & 0222))
        return flags & O_PATH ? 0 : -EACCES;
    if (is_directory(node) && (writes || flags & O_CREAT) && !(flags & O_PATH))
        return -EISDIR;
    return 0;
}

/* What who is not root may open. */
static long refused(const struct node *node, long flags) {
    static const u8 wants[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
    long error = users->may(node, wants[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0));
    return error || !(flags & O_NOATIME) ? error : users->owns(node);
}

static const struct file_ops *ops_of(const struct node *node) {
    switch (node->device) {
    case DEVICE_DISK:
        return block_device_ops;
    case DEVICE_TUN:
        return net_device_ops;
    case DEVICE_SYNTHETIC:
        return &synthetic_ops;
    default:
        return is_directory(node) ? &directory_ops : node->device ? &device_ops : &regular_ops;
    }
}

/* The host's terminal, through a descriptor that is open on it. */
static long open_terminal(long flags) {
    for (long fd = 0; fd < 3; fd++) {
        struct file *console = fd_get(fd);
        if (console && boot_info.stdio[fd].is_tty)
            return open_again(console, flags);
    }
    return -ENXIO;
}

long open_node(struct node *node, const struct file_ops *ops, long flags) {
    bool terminal =
        node->device == DEVICE_TTY || node->device == DEVICE_CONSOLE || node->device == DEVICE_PTS;
    if (terminal && !(flags & O_PATH))
        return open_terminal(flags);
    if ((node->device == DEVICE_PTMX || node->device == DEVICE_PTY) && !(flags & O_PATH))
        return guest_terminals->open(node, flags);
    if ((node->mode & S_IFMT) == S_IFSOCK && !(flags & O_PATH))
        return -ENXIO;
    if ((node->mode & S_IFMT) == S_IFIFO && !(flags & O_PATH))
        return open_fifo(node, flags);
    u32 kept = (u32)flags & ~(u32)O_CLOEXEC;
    struct file *file = file_new(ops, flags & O_PATH ? kept : kept | O_LARGEFILE, node);
    if (!file)
        return -ENOMEM;
    file->extra = node->device == DEVICE_DISK ? node->capacity : 0;
    node->references++;
    if (!(flags & O_PATH))
        node_changed(node, CHANGED_OPENED);
    if (flags & O_TRUNC && is_regular(node) && !node->device && !(flags & O_PATH)) {
        content_resize(node, 0);
        touch_modified(node);
        node_changed(node, CHANGED_CONTENT);
    }
    return fd_install(file, 0, flags & O_CLOEXEC);
}

static long open_unnamed(long directory, const char *path, long flags, long mode) {
    struct node *parent;
    long error = walk_to(directory, path, !(flags & O_NOFOLLOW), &parent);
    if (error)
        return error;
    if (!is_directory(parent))
        return -ENOTDIR;
    error = may(parent, MAY_WRITE | MAY_EXECUTE);
    if (error)
        return error;
    struct node *node = node_new(S_IFREG | masked(mode));
    if (!node)
        return -ENOSPC;
    made_in(node, parent);
    node->seals = flags & O_EXCL ? 0 : LINKABLE;
    return open_node(node, &regular_ops, flags);
}

static bool ends_in_slash(const char *path) {
    return *path && path[strlen(path) - 1] == '/';
}

long sys_openat(long directory, long path, long flags, long mode) {
    struct walked walked;
    flags = (u32)flags;
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (flags & O_CREAT && flags & O_DIRECTORY)
        return -EINVAL;
    if (flags & O_TMPFILE & ~O_DIRECTORY && (!(flags & O_DIRECTORY) || !(flags & O_ACCMODE)))
        return -EINVAL;
    u64 length = strlen((const char *)path);
    if (!length || length >= PATH_MAX)
        return length ? -ENAMETOOLONG : -ENOENT;
    long fd = fd_lowest(0);
    if (fd < 0)
        return fd;
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return open_unnamed(directory, (const char *)path, flags, mode);
    if (flags & O_CREAT && ends_in_slash((const char *)path)) {
        long error = walk(directory, (const char *)path, LAST_NAME, &walked);
        if (error || (!walked.volume && !is_dot(&walked)))
            return error ? error : -EISDIR;
    }
    bool follow = !(flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL);
    long error = walk(directory, (const char *)path, follow ? LAST_FOLLOWED : LAST_KEPT, &walked);
    if (!error && walked.file && of_volume(walked.file))
        error = by_name(walked.file, &walked);
    while (!error && walked.volume) {
        error = guest_volumes->open(&walked, follow, flags, mode);
        if (walked.volume)
            return error;
    }
    if (error)
        return error;
    if (walked.node && flags & O_CREAT && flags & O_EXCL)
        return -EEXIST;
    if (walked.file)
        return open_again(walked.file, flags);
    bool made = !walked.node && flags & O_CREAT;
    if (made)
        error = create(&walked, mode);
    if (error)
        return error;
    if (!walked.node)
        return -ENOENT;
    error = made ? 0 : check(walked.node, flags);
    if (!error && users && !made && !(flags & O_PATH))
        error = refused(walked.node, flags);
    return error ? error : open_node(walked.node, ops_of(walked.node), flags);
}

long sys_open(long path, long flags, long mode) {
    return sys_openat(AT_FDCWD, path, flags, mode);
}

long sys_creat(long path, long mode) {
    return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
