/* The working directory, and the paths that nodes have. */
#include "parts/files/node.h"

static struct node *cwd;

struct node *working_directory(void) {
    return cwd ? cwd : tree_root();
}

static void change_to(struct node *to) {
    struct node *before = cwd;
    to->references++;
    cwd = to;
    if (before) {
        before->references--;
        node_release(before);
    }
}

/* To a directory of the tree, or what is open of a volume's. */
static long enter(struct node *node, struct file *file) {
    long error = node && !is_directory(node) ? -ENOTDIR : 0;
    if (!node && !guest_volumes)
        return -ENOTDIR;
    if (node && !error)
        error = may(node, MAY_EXECUTE);
    if (guest_volumes && !error)
        error = guest_volumes->enter(node ? NULL : file, &node);
    if (!error)
        change_to(node);
    return error;
}

long sys_chdir(long path) {
    struct node *node;
    struct file *file;
    long error = walk_to_file(AT_FDCWD, (const char *)path, true, &node, &file);
    return error ? error : enter(node, file);
}

long sys_fchdir(long fd) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    return enter(file->ops == &directory_ops ? file->object : NULL, file);
}

static const struct entry *name_of(const struct node *node) {
    for (const struct entry *each = node->parent->first; each; each = each->next)
        if (each->node == node)
            return each;
    return NULL;
}

/* The next name after `each` of all that have been read in; NULL behind the last. */
static const struct entry *next_name(const struct entry *each, struct node **directory) {
    if (is_directory(each->node) && each->node->first) {
        *directory = each->node;
        return (*directory)->first;
    }
    while (!each->next) {
        if (*directory == tree_root())
            return NULL;
        each = name_of(*directory);
        *directory = (*directory)->parent;
        if (!each)
            return NULL;
    }
    return each->next;
}

/* A file knows no directory: its first name is looked for. */
static const struct entry *find_name(const struct node *node, struct node **directory) {
    *directory = is_directory(node) ? node->parent : tree_root();
    if (is_directory(node))
        return name_of(node);
    const struct entry *each = (*directory)->first;
    while (each && each->node != node)
        each = next_name(each, directory);
    return each;
}

static char *before(char *at, const char *path, const char *name, u64 length) {
    if ((u64)(at - path) < length + 1)
        return NULL;
    memcpy(at - length, name, length);
    at -= length + 1;
    *at = '/';
    return at;
}

char *path_of(const struct node *node, char *path) {
    char *at = path + PATH_MAX - 1;
    *at = 0;
    if (node == tree_root())
        return before(at, path, "", 0);
    while (at && node != tree_root()) {
        struct node *directory;
        const struct entry *entry = find_name(node, &directory);
        if (!entry)
            return NULL;
        at = before(at, path, entry->name, entry->length);
        node = directory;
    }
    return at;
}

/* `path`, in which one starts at `start`, and another behind it. */
static const char *path_behind(const char *start, char *path, const char *below) {
    u64 length = strlen(start), more = strlen(below);
    if (length + more + 2 > PATH_MAX)
        return NULL;
    memmove(path, start, length);
    path[length] = '/';
    memcpy(path + length + 1, below, more + 1);
    return path;
}

long sys_getcwd(long to, long size) {
    char path[PATH_MAX];
    const char *start = path_of(working_directory(), path);
    if (!start)
        return -ENOENT;
    const char *below = guest_volumes ? guest_volumes->cwd() : NULL;
    if (below && strcmp(below, "."))
        start = path_behind(start, path, below);
    if (!start)
        return -ERANGE;
    u64 length = strlen(start) + 1;
    if (size < 0 || (u64)size < length)
        return -ERANGE;
    memcpy((void *)to, start, length);
    return (long)length;
}
