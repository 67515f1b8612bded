/* Making, removing and moving names. */
#include "parts/files/node.h"

/* The directory and the name of a path; the name's node, where there is one. */
static long walk_to_name(long directory, long path, struct walked *walked) {
    return walk(directory, (const char *)path, LAST_NAME, walked);
}

static long missing(const struct walked *walked) {
    return walked->length > NAME_MAX ? -ENAMETOOLONG : -ENOENT;
}

static long add_new(struct walked *walked, struct node *node) {
    long error = node ? directory_add(walked->parent, walked->name, walked->length, node) : -ENOSPC;
    if (error && node)
        node_release(node);
    if (!error)
        touch_modified(walked->parent);
    return error;
}

static long walk_to_new(long directory, long path, bool as_directory, struct walked *walked) {
    long error = walk_to_name(directory, path, walked);
    if (error)
        return error;
    if (walked->node)
        return -EEXIST;
    if (walked->length > NAME_MAX || (walked->directory_only && !as_directory))
        return missing(walked);
    return walked->parent->links ? 0 : -ENOENT;
}

long sys_mkdirat(long directory, long path, long mode) {
    struct walked walked;
    long error = walk_to_new(directory, path, true, &walked);
    if (error)
        return error;
    return add_new(&walked, node_new(S_IFDIR | (masked(mode) & 01777)));
}

long sys_mkdir(long path, long mode) {
    return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_symlinkat(long target, long directory, long path) {
    struct walked walked;
    u64 length = strlen((const char *)target);
    if (!length)
        return -ENOENT;
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    long error = walk_to_new(directory, path, false, &walked);
    if (error)
        return error;
    struct node *node = node_new(S_IFLNK | 0777);
    if (node && content_write(node, (const void *)target, length, 0) != (long)length) {
        content_free(node);
        heap_free(node);
        return -ENOSPC;
    }
    return add_new(&walked, node);
}

long sys_symlink(long target, long path) {
    return sys_symlinkat(target, AT_FDCWD, path);
}

long make_named(long directory, const char *path, u32 mode, struct node **node) {
    struct walked walked;
    long error = walk_to_new(directory, (long)path, false, &walked);
    if (error)
        return error;
    *node = node_new(mode);
    return add_new(&walked, *node);
}

long sys_mknodat(long directory, long path, long mode, long device) {
    struct walked walked;
    struct node *node;
    (void)device;
    u32 kind = (u32)mode & S_IFMT ? (u32)mode & S_IFMT : S_IFREG;
    bool known = kind == S_IFREG || kind == S_IFSOCK || kind == S_IFIFO;
    if (!known && kind != S_IFDIR && kind != S_IFCHR && kind != S_IFBLK)
        return -EINVAL;
    if (kind == S_IFDIR)
        return -EPERM;
    if (known) {
        open_fifo = fifo_open;
        return make_named(directory, (const char *)path, kind | masked(mode), &node);
    }
    long error = walk_to_new(directory, path, false, &walked);
    return error ? error : -EPERM; /* devices are those that the guest was given */
}

long sys_mknod(long path, long mode, long device) {
    return sys_mknodat(AT_FDCWD, path, mode, device);
}

long sys_linkat(long from, long old, long to, long path, long flags) {
    struct walked walked;
    struct node *node;
    struct file *file = NULL;
    long error = 0;
    if ((u32)flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (flags & AT_EMPTY_PATH && !*(const char *)old) {
        file = fd_get(from);
        if (!file && (s32)from != AT_FDCWD)
            return -EBADF;
        node = file ? file_node(file) : working_directory();
        if (node && node->device && !is_directory(node))
            node = NULL;
    } else {
        error = walk_to(from, (const char *)old, flags & AT_SYMLINK_FOLLOW, &node);
    }
    if (!error)
        error = walk_to_new(to, path, false, &walked);
    if (error)
        return error;
    if (!node)
        return -EXDEV;
    if (is_directory(node))
        return -EPERM;
    if (!node->links && !(file && (file->flags & O_TMPFILE) == O_TMPFILE))
        return -ENOENT;
    error = directory_add(walked.parent, walked.name, walked.length, node);
    if (!error) {
        touch_modified(walked.parent);
        node->changed = walked.parent->changed;
    }
    return error;
}

long sys_link(long old, long path) {
    return sys_linkat(AT_FDCWD, old, AT_FDCWD, path, 0);
}

static bool empty(struct node *directory) {
    directory_load(directory);
    return !directory->first;
}

static long remove_name(struct walked *walked) {
    struct entry *entry = directory_find(walked->parent, walked->name, walked->length);
    if (!entry)
        return -ENOENT;
    entry->node->changed = (s64)file_time();
    directory_remove(walked->parent, entry);
    touch_modified(walked->parent);
    return 0;
}

static long remove_directory(long directory, long path) {
    struct walked walked;
    long error = walk_to_name(directory, path, &walked);
    if (error)
        return error;
    if (!walked.node)
        return missing(&walked);
    if (is_dot(&walked))
        return walked.length == 2 ? -ENOTEMPTY : walked.node == tree_root() ? -EBUSY : -EINVAL;
    if (!is_directory(walked.node))
        return -ENOTDIR;
    return empty(walked.node) ? remove_name(&walked) : -ENOTEMPTY;
}

long sys_unlinkat(long directory, long path, long flags) {
    struct walked walked;
    if ((u32)flags & ~(u32)AT_REMOVEDIR)
        return -EINVAL;
    if (flags & AT_REMOVEDIR)
        return remove_directory(directory, path);
    long error = walk_to_name(directory, path, &walked);
    if (error)
        return error;
    if (!walked.node)
        return missing(&walked);
    if (is_directory(walked.node))
        return -EISDIR;
    return walked.directory_only ? -ENOTDIR : remove_name(&walked);
}

long sys_unlink(long path) {
    return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(long path) {
    return remove_directory(AT_FDCWD, path);
}

static bool within(struct node *directory, const struct node *ancestor) {
    for (; directory != tree_root(); directory = directory->parent)
        if (directory == ancestor)
            return true;
    return directory == ancestor;
}

static long may_replace(struct node *old, struct node *target) {
    if (is_directory(target) && !is_directory(old))
        return -EISDIR;
    if (!is_directory(target) && is_directory(old))
        return -ENOTDIR;
    return is_directory(target) && !empty(target) ? -ENOTEMPTY : 0;
}

enum { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2 };

static long exchange(struct walked *from, struct walked *to) {
    struct entry *a = directory_find(from->parent, from->name, from->length);
    struct entry *b = directory_find(to->parent, to->name, to->length);
    struct node *node = a->node;
    a->node = b->node, b->node = node;
    if (is_directory(a->node))
        to->parent->links--, from->parent->links++, directory_adopt(from->parent, a->node);
    if (is_directory(b->node))
        from->parent->links--, to->parent->links++, directory_adopt(to->parent, b->node);
    touch_modified(from->parent);
    touch_modified(to->parent);
    a->node->changed = b->node->changed = to->parent->changed;
    return 0;
}

static long move_name(struct walked *from, struct walked *to) {
    struct node *node = from->node;
    long error = directory_add(to->parent, to->name, to->length, node);
    if (error)
        return error;
    struct entry *old = from->parent->first;
    while (old->node != node || old->length != from->length ||
           memcmp(old->name, from->name, from->length))
        old = old->next; /* the older of two equal names comes first */
    directory_remove(from->parent, old);
    touch_modified(from->parent);
    touch_modified(to->parent);
    node->changed = to->parent->changed;
    return 0;
}

long sys_renameat2(long from_directory, long old, long to_directory, long path, long flags) {
    struct walked from, to;
    flags = (u32)flags;
    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == 3)
        return -EINVAL;
    long error = walk_to_name(from_directory, old, &from);
    if (!error)
        error = walk_to_name(to_directory, path, &to);
    if (error)
        return error;
    if (is_dot(&from))
        return -EBUSY;
    if (is_dot(&to))
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    if (!from.node)
        return missing(&from);
    if (to.node && flags & RENAME_NOREPLACE)
        return -EEXIST;
    if (!to.node && (to.length > NAME_MAX || flags & RENAME_EXCHANGE))
        return missing(&to);
    if (flags & RENAME_EXCHANGE && to.directory_only && !is_directory(to.node))
        return -ENOTDIR;
    bool slash = from.directory_only || (to.directory_only && !(flags & RENAME_EXCHANGE));
    if (slash && !is_directory(from.node))
        return -ENOTDIR;
    if (is_directory(from.node) && within(to.parent, from.node))
        return -EINVAL;
    if (to.node && is_directory(to.node) && within(from.parent, to.node))
        return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    if (!from.parent->links || !to.parent->links)
        return -ENOENT;
    if (to.node == from.node)
        return 0;
    if (flags & RENAME_EXCHANGE)
        return exchange(&from, &to);
    if (to.node) {
        error = may_replace(from.node, to.node);
        if (error)
            return error;
        remove_name(&to);
    }
    return move_name(&from, &to);
}

long sys_renameat(long from_directory, long old, long to_directory, long path) {
    return sys_renameat2(from_directory, old, to_directory, path, 0);
}

long sys_rename(long old, long path) {
    return sys_renameat2(AT_FDCWD, old, AT_FDCWD, path, 0);
}
