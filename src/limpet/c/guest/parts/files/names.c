/* Making and removing names. */
#include "parts/files/names.h"

/* The directory and the name of a path; the name's node, where there is one. */
long walk_to_name(long directory, long path, struct walked *walked) {
    return walk(directory, (const char *)path, LAST_NAME, walked);
}

/* Whether the name is in a volume, which has done `what` there; the walk may lead back from it. */
static bool below(struct walked *walked, const struct naming *what, long *error) {
    while (walked->volume) {
        *error = guest_volumes->name(walked, what);
        if (*error != -EXDEV || walked->clean)
            return true;
        *error = guest_volumes->resolve(walked, LAST_NAME);
        if (*error)
            return true;
    }
    return false;
}

/* The place of a name that another is about: in the tree, or by a path without links in a volume.
 */
long names_settle(struct walked *walked, enum last last) {
    long error = 0;
    while (!error && walked->volume && !walked->clean)
        error = guest_volumes->resolve(walked, last);
    return error;
}

/* Two names, of which one is in a volume at least. */
long names_between(struct walked *old, struct walked *new, u32 what, long flags) {
    const struct naming both = {what, (u64)flags, NULL, old, NULL};
    return old->volume == new->volume ? guest_volumes->name(new, &both) : -EXDEV;
}

long name_missing(const struct walked *walked) {
    return walked->length > NAME_MAX ? -ENAMETOOLONG : -ENOENT;
}

static long add_new(struct walked *walked, struct node *node) {
    if (node)
        made_in(node, walked->parent);
    long error = node ? directory_add(walked->parent, walked->name, walked->length, node) : -ENOSPC;
    if (error && node)
        node_release(node);
    if (!error) {
        touch_modified(walked->parent);
        name_changed(walked, node, CHANGED_CREATED, 0);
    }
    return error;
}

static long check_new(const struct walked *walked, bool as_directory) {
    if (walked->node)
        return -EEXIST;
    if (walked->length > NAME_MAX || (walked->directory_only && !as_directory))
        return name_missing(walked);
    return walked->parent->links && !names_kept(walked)
               ? may(walked->parent, MAY_WRITE | MAY_EXECUTE)
               : -ENOENT;
}

long sys_mkdirat(long directory, long path, long mode) {
    const struct naming what = {NAME_FOLDER, masked(mode) & 01777, NULL, NULL, NULL};
    struct walked walked;
    long error = walk_to_name(directory, path, &walked);
    if (error || below(&walked, &what, &error))
        return error;
    error = check_new(&walked, true);
    return error ? error : add_new(&walked, node_new(S_IFDIR | (u32)what.argument));
}

long sys_mkdir(long path, long mode) {
    return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_symlinkat(long target, long directory, long path) {
    const struct naming what = {NAME_LINK, 0, (const char *)target, NULL, NULL};
    struct walked walked;
    u64 length = strlen((const char *)target);
    if (!length)
        return -ENOENT;
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    long error = walk_to_name(directory, path, &walked);
    if (error || below(&walked, &what, &error))
        return error;
    error = check_new(&walked, false);
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

static long add_named(struct walked *walked, u32 mode, struct node **node) {
    long error = check_new(walked, false);
    if (error)
        return error;
    *node = node_new(mode);
    return add_new(walked, *node);
}

/* A socket's name: none is in a volume. */
long make_named(long directory, const char *path, u32 mode, struct node **node) {
    struct walked walked;
    long error = walk_to_name(directory, (long)path, &walked);
    if (!error && guest_volumes)
        error = names_settle(&walked, LAST_NAME);
    if (error)
        return error;
    return walked.volume ? -EPERM : add_named(&walked, mode, node);
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
    const struct naming what = {NAME_FILE, kind | masked(mode), NULL, NULL, NULL};
    long error = walk_to_name(directory, path, &walked);
    if (error || below(&walked, &what, &error))
        return error;
    if (known) {
        open_fifo = fifo_open;
        return add_named(&walked, kind | masked(mode), &node);
    }
    error = check_new(&walked, false);
    return error ? error : -EPERM; /* devices are those that the guest was given */
}

long sys_mknod(long path, long mode, long device) {
    return sys_mknodat(AT_FDCWD, path, mode, device);
}

/* What gets another name: a node, or what is in a volume. */
static long walk_to_linked(long directory, const char *path, long flags, struct walked *source,
                           struct node **node) {
    enum last last = flags & AT_SYMLINK_FOLLOW ? LAST_FOLLOWED : LAST_KEPT;
    long error = walk(directory, path, last, source);
    if (!error && guest_volumes)
        error = names_settle(source, last);
    *node = source->node;
    return error || source->volume || *node || source->file ? error : -ENOENT;
}

long sys_linkat(long from, long old, long to, long path, long flags) {
    struct walked walked, source;
    struct node *node;
    struct file *file = NULL;
    long error = 0;
    source.volume = 0;
    if ((u32)flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (flags & AT_EMPTY_PATH && !*(const char *)old) {
        file = fd_get(from);
        if (!file && (s32)from != AT_FDCWD)
            return -EBADF;
        node = file ? file_node(file) : working_directory();
    } else {
        error = walk_to_linked(from, (const char *)old, flags, &source, &node);
    }
    if (!error && node && node->device && !is_directory(node))
        node = NULL; /* of a file system that nothing else is on */
    if (!error)
        error = walk_to_name(to, path, &walked);
    if (!error && guest_volumes)
        error = names_settle(&walked, LAST_NAME);
    if (!error && (source.volume || walked.volume))
        return names_between(&source, &walked, NAME_SAME, 0);
    if (!error)
        error = check_new(&walked, false);
    if (error)
        return error;
    if (!node)
        return -EXDEV;
    if (is_directory(node))
        return -EPERM;
    if (!node->links && !(node->seals & LINKABLE))
        return -ENOENT;
    error = directory_add(walked.parent, walked.name, walked.length, node);
    if (!error) {
        node->seals &= ~(u32)LINKABLE;
        touch_modified(walked.parent);
        node->changed = walked.parent->changed;
        node_changed_alone(node, CHANGED_ATTRIBUTES);
        name_changed(&walked, node, CHANGED_CREATED, 0);
    }
    return error;
}

long sys_link(long old, long path) {
    return sys_linkat(AT_FDCWD, old, AT_FDCWD, path, 0);
}

bool directory_empty(struct node *directory) {
    directory_load(directory);
    return !directory->first;
}

struct node *take_name(struct walked *walked) {
    struct entry *entry = directory_find(walked->parent, walked->name, walked->length);
    if (!entry)
        return NULL;
    struct node *node = entry->node;
    node->changed = (s64)file_time();
    node->references++;
    directory_remove(walked->parent, entry);
    touch_modified(walked->parent);
    return node;
}

void give_up(struct node *node) {
    node->references--;
    node_release(node);
}

static long remove_name(struct walked *walked) {
    struct node *node = take_name(walked);
    if (!node)
        return -ENOENT;
    if (!is_directory(node))
        node_changed_alone(node, CHANGED_ATTRIBUTES);
    name_changed(walked, node, CHANGED_DELETED, 0);
    give_up(node);
    return 0;
}

static long remove_directory(long directory, long path) {
    static const struct naming what = {NAME_NO_FOLDER, 0, NULL, NULL, NULL};
    struct walked walked;
    long error = walk_to_name(directory, path, &walked);
    if (error || below(&walked, &what, &error))
        return error;
    if (!walked.node)
        return name_missing(&walked);
    if (is_dot(&walked))
        return walked.length == 2 ? -ENOTEMPTY : walked.node == tree_root() ? -EBUSY : -EINVAL;
    if ((error = may_remove(&walked)))
        return error;
    if (!is_directory(walked.node))
        return -ENOTDIR;
    if (walked.node->device == DEVICE_MOUNT)
        return -EBUSY;
    if (names_kept(&walked))
        return -EPERM;
    return directory_empty(walked.node) ? remove_name(&walked) : -ENOTEMPTY;
}

long sys_unlinkat(long directory, long path, long flags) {
    static const struct naming what = {NAME_NOTHING, 0, NULL, NULL, NULL};
    struct walked walked;
    if ((u32)flags & ~(u32)AT_REMOVEDIR)
        return -EINVAL;
    if (flags & AT_REMOVEDIR)
        return remove_directory(directory, path);
    long error = walk_to_name(directory, path, &walked);
    if (error || below(&walked, &what, &error))
        return error;
    if (!walked.node)
        return name_missing(&walked);
    if ((error = may_remove(&walked)))
        return error;
    if (is_directory(walked.node))
        return -EISDIR;
    if (names_kept(&walked))
        return -EPERM;
    return walked.directory_only ? -ENOTDIR : remove_name(&walked);
}

long sys_unlink(long path) {
    return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(long path) {
    return remove_directory(AT_FDCWD, path);
}
