/* From paths to nodes (path_resolution(7)). */
#include "parts/files/node.h"

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

/* A walk that is bounded does not go into a volume. */
static long in_volume(struct walked *out, const char *rest) {
    out->rest = rest, out->file = NULL, out->node = NULL, out->directory_only = false;
    return bounds.resolve & ~(u32)RESOLVE_NO_MAGICLINKS ? -EXDEV : 0;
}

static long start_of(long directory, const char *path, struct node **from, struct walked *out) {
    if (*path == '/' && !bounds.confined) {
        *from = tree_root();
        return 0;
    }
    bool here = (s32)directory == AT_FDCWD;
    struct file *file = here ? NULL : fd_get((s32)directory);
    if (!here && !file)
        return -EBADF;
    *from = working_directory();
    if (guest_volumes && guest_volumes->start(file, out))
        return in_volume(out, path);
    if (here)
        return 0;
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

/* A link of /proc leads to a node at once, or to a file without one, which ends the path unless it
 * is a volume's. */
static long jump(const struct node *link, bool final, struct walked *out, struct node **to) {
    if (bounds.resolve & RESOLVE_NO_MAGICLINKS)
        return -ELOOP;
    long error = bounds.confined ? -EXDEV : link_target(link, to, &out->file);
    if (!error && out->file && (!final || out->directory_only) && !of_volume(out->file))
        error = -ENOTDIR;
    return error;
}

/* Where links are put together: not on a thread's stack, which is small. No call needs more than
 * two walks at a time, and none waits between. */
char (*walk_room(void)) [PATH_MAX] {
    static char rooms[2][2][PATH_MAX] LARGE;
    static u32 last;
    last ^= 1;
    return rooms[last];
}

long walk(long directory, const char *path, enum last last, struct walked *out) {
    struct node *at;
    out->links = 0, out->volume = 0, out->buffer = walk_room();
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    long error = *path ? start_of(directory, path, &at, out) : -ENOENT;
    if (error || out->volume)
        return error;
    if (bounds.confined)
        bounds.top = at;
    if (*path == '/')
        error = root_of_walk(&at);
    return error ? error : walk_on(at, path, last, out);
}

static bool is_mount(const struct node *node) {
    return guest_volumes && node->device == DEVICE_MOUNT;
}

long walk_on(struct node *at, const char *path, enum last last, struct walked *out) {
    long error = 0;
    out->parent = at, out->name = ".", out->length = 1, out->node = at;
    out->directory_only = false, out->file = NULL;
    for (;;) {
        if (is_mount(at)) {
            out->volume = at->number, out->base = "", out->clean = false;
            return in_volume(out, path);
        }
        while (*path == '/')
            path++;
        u64 length = component(path);
        if (!length)
            return 0;
        if (!is_directory(at))
            return -ENOTDIR;
        if ((error = may(at, MAY_EXECUTE)))
            return error;
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
            if (++out->links > MOST_LINKS || bounds.resolve & RESOLVE_NO_SYMLINKS)
                return -ELOOP;
            bool jumps = next->device;
            error = jumps ? jump(next, final, out, &next)
                          : follow(next, rest, out->links, out, &path, &at);
            if (error)
                return error;
            if (!jumps)
                continue;
            if (out->file && (!final || out->directory_only)) {
                guest_volumes->start(out->file, out);
                return in_volume(out, rest);
            }
        }
        out->node = next;
        if (final && !(next && is_mount(next))) {
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
    while (!error && walked.volume) {
        error = guest_volumes->find(&walked, follow ? LAST_FOLLOWED : LAST_KEPT);
        if (walked.file)
            break;
    }
    if (!error && !walked.node && !walked.file)
        error = -ENOENT;
    *node = walked.node, *file = walked.file;
    return error;
}

long walk_to(long directory, const char *path, bool follow, struct node **node) {
    struct file *file;
    long error = walk_to_file(directory, path, follow, node, &file);
    if (error || *node)
        return error;
    return of_volume(file) ? -EOPNOTSUPP : -EINVAL; /* what is open there is no file of the tree */
}
