/* From paths to nodes (path_resolution(7)). */
#include "parts/files/node.h"

#define MOST_LINKS 40

static struct node *cwd;

/* For one walk (openat2): RESOLVE_*, and the directory that it does not leave, or NULL. */
static struct {
    u32 resolve;
    bool confined;
    struct node *top;
} bounds;

void walk_bounded(u32 resolve) {
    bounds.resolve = resolve;
    bounds.confined = resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT);
    bounds.top = NULL;
}

/* What "/" is. */
static long root_of_walk(struct node **root) {
    *root = bounds.resolve & RESOLVE_IN_ROOT ? bounds.top : tree_root();
    return bounds.resolve & RESOLVE_BENEATH ? -EXDEV : 0;
}

/* ".." of the top: an error, or the top again. */
static bool leaves(const struct node *at, const char *name, u64 length) {
    return at == bounds.top && length == 2 && name[0] == '.' && name[1] == '.';
}

struct node *working_directory(void) {
    return cwd ? cwd : tree_root();
}

static long start_of(long directory, const char *path, struct node **from) {
    if (*path == '/' && !bounds.confined) {
        *from = tree_root();
        return 0;
    }
    if ((s32)directory == AT_FDCWD) {
        *from = working_directory();
        return 0;
    }
    struct file *file = fd_get((s32)directory);
    if (!file)
        return -EBADF;
    if (file->ops != &directory_ops)
        return -ENOTDIR;
    *from = file->object;
    return 0;
}

static u64 component(const char *path) {
    u64 length = 0;
    while (path[length] && path[length] != '/')
        length++;
    return length;
}

static struct node *step(struct node *at, const char *name, u64 length, struct walked *out) {
    out->parent = at, out->name = name, out->length = length;
    if (length == 1 && name[0] == '.')
        return at;
    if (length == 2 && name[0] == '.' && name[1] == '.')
        return at->parent && at != bounds.top ? at->parent : at;
    struct entry *entry = directory_find(at, name, length);
    return entry ? entry->node : NULL;
}

/* A link's target followed by the rest of the path, in whichever buffer is free. */
static long splice(struct node *link, const char *rest, int links, struct walked *out,
                   const char **path) {
    char *to = out->buffer[links & 1];
    u64 length = strlen(rest);
    if (!link->size)
        return -ENOENT;
    if (link->size + length >= PATH_MAX)
        return -ENAMETOOLONG;
    touch_accessed(link);
    memmove(to + link->size, rest, length + 1);
    content_read(link, to, link->size, 0);
    *path = to;
    return 0;
}

static long follow(struct node *link, const char *rest, int links, struct walked *out,
                   const char **path, struct node **at) {
    long error = splice(link, rest, links, out, path);
    if (!error && **path == '/')
        error = root_of_walk(at);
    out->node = *at;
    return error;
}

/* A link of /proc leads to a node at once, or to a file without one, which ends the path. */
static long jump(const struct node *link, bool final, struct walked *out, struct node **to) {
    if (bounds.resolve & RESOLVE_NO_MAGICLINKS)
        return -ELOOP;
    long error = bounds.confined ? -EXDEV : link_target(link, to, &out->file);
    if (!error && out->file && (!final || out->directory_only))
        error = -ENOTDIR;
    return error;
}

long walk(long directory, const char *path, enum last last, struct walked *out) {
    struct node *at;
    int links = 0;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    long error = *path ? start_of(directory, path, &at) : -ENOENT;
    if (!error && bounds.confined)
        bounds.top = at;
    if (!error && *path == '/')
        error = root_of_walk(&at);
    if (error)
        return error;
    out->parent = at, out->name = ".", out->length = 1, out->node = at;
    out->directory_only = false, out->file = NULL;
    for (;;) {
        while (*path == '/')
            path++;
        u64 length = component(path);
        if (!length)
            return 0;
        if (!is_directory(at))
            return -ENOTDIR;
        const char *rest = path + length, *more = rest;
        while (*more == '/')
            more++;
        bool final = !*more;
        if (length > NAME_MAX && !(final && last == LAST_NAME))
            return -ENAMETOOLONG;
        if (bounds.resolve & RESOLVE_BENEATH && leaves(at, path, length))
            return -EXDEV;
        struct node *next = step(at, path, length, out);
        out->directory_only = final && *rest == '/';
        if (final && last == LAST_NAME) {
            out->node = next;
            return 0;
        }
        if (next && is_link(next) && (!final || last == LAST_FOLLOWED || out->directory_only)) {
            if (++links > MOST_LINKS || bounds.resolve & RESOLVE_NO_SYMLINKS)
                return -ELOOP;
            bool jumps = next->device;
            error =
                jumps ? jump(next, final, out, &next) : follow(next, rest, links, out, &path, &at);
            if (error)
                return error;
            if (!jumps)
                continue;
        }
        out->node = next;
        if (final) {
            if (next && out->directory_only && !is_directory(next))
                return -ENOTDIR;
            return 0;
        }
        if (!next)
            return -ENOENT;
        at = next, path = rest;
    }
}

long walk_to_file(long directory, const char *path, bool follow, struct node **node,
                  struct file **file) {
    struct walked walked;
    long error = walk(directory, path, follow ? LAST_FOLLOWED : LAST_KEPT, &walked);
    if (!error && !walked.node && !walked.file)
        error = -ENOENT;
    *node = walked.node, *file = walked.file;
    return error;
}

long walk_to(long directory, const char *path, bool follow, struct node **node) {
    struct file *file;
    long error = walk_to_file(directory, path, follow, node, &file);
    return !error && !*node ? -EINVAL : error; /* what is open there is no file of the tree */
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

long sys_chdir(long path) {
    struct node *node;
    long error = walk_to(AT_FDCWD, (const char *)path, true, &node);
    if (error)
        return error;
    if (!is_directory(node))
        return -ENOTDIR;
    change_to(node);
    return 0;
}

long sys_fchdir(long fd) {
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    if (file->ops != &directory_ops)
        return -ENOTDIR;
    change_to(file->object);
    return 0;
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

long sys_getcwd(long to, long size) {
    char path[PATH_MAX];
    const char *start = path_of(working_directory(), path);
    if (!start)
        return -ENOENT;
    u64 length = strlen(start) + 1;
    if (size < 0 || (u64)size < length)
        return -ERANGE;
    memcpy((void *)to, start, length);
    return (long)length;
}
