/*
 * Extended attributes (xattr(7)), as tmpfs has them: user.*, trusted.* and security.*, in memory
 * and gone with the guest.  Packed files have none at start.
 */
#include "parts/files/node.h"

enum { XATTR_CREATE = 1, XATTR_REPLACE = 2 };
enum { MOST_NAME = 255, MOST_VALUE = 65536 };
enum action { LOOK, CHANGE };

struct attribute {
    struct attribute *next; /* descending by name */
    u64 size;
    u8 *value;
    char name[MOST_NAME + 1];
};

/* What the program gave, copied before anything is looked at. */
struct request {
    char name[MOST_NAME + 1];
    struct node *node; /* NULL: the file is none of the tree, and has no attributes */
    u32 kind;          /* S_IF* */
};

static long ask_by_name(struct request *request, const char *name) {
    u64 length = 0;
    while (length <= MOST_NAME && name[length])
        length++;
    if (!length || length > MOST_NAME)
        return -ERANGE;
    memcpy(request->name, name, length + 1);
    return 0;
}

static long find_path(struct request *request, long path, bool follow) {
    long error = walk_to(AT_FDCWD, (const char *)path, follow, &request->node);
    if (!error)
        request->kind = request->node->mode & S_IFMT;
    return error;
}

static long find_file(struct request *request, long fd) {
    struct linux_stat stat = {0};
    struct file *file = fd_use(fd);
    if (!file)
        return -EBADF;
    file->ops->stat(file, &stat);
    request->kind = stat.mode & S_IFMT;
    request->node = file->ops->release == file_close ? file->object : NULL;
    return 0;
}

static bool starts(const char *name, const char *prefix) {
    return !memcmp(name, prefix, strlen(prefix));
}

/* Of users' attributes as of the content; the others are root's alone (xattr(7)). */
static long refused(const struct request *request, enum action action) {
    bool changes = action == CHANGE;
    if (!starts(request->name, "user.")) {
        bool hidden = starts(request->name, "trusted.") && !changes;
        return changes || hidden ? (users->owns(tree_root()) ? (hidden ? -ENODATA : -EPERM) : 0)
                                 : 0;
    }
    long error = users->may(request->node, changes ? MAY_WRITE : MAY_READ);
    bool sticky = request->kind == S_IFDIR && request->node->mode & S_ISVTX;
    return error || !changes || !sticky ? error : users->owns(request->node);
}

/* Which files may have it, then whether there is such a kind of attribute. */
static long check_name(const struct request *request, enum action action) {
    static const char *const prefixes[] = {"user.", "trusted.", "security."};
    const char *name = request->name;
    bool own = request->kind == S_IFREG || request->kind == S_IFDIR;
    if (starts(name, prefixes[0]) && !own)
        return action == CHANGE ? -EPERM : -ENODATA;
    long error = users && request->node ? refused(request, action) : 0;
    if (error)
        return error;
    for (u64 i = 0; request->node && i < COUNT(prefixes); i++)
        if (starts(name, prefixes[i]))
            return name[strlen(prefixes[i])] ? 0 : -EINVAL;
    return -EOPNOTSUPP;
}

/* Where the attribute is, or would be. */
static struct attribute **place_of(const struct node *node, const char *name) {
    struct attribute **link = &node->extras->attributes;
    while (*link && strcmp((*link)->name, name) > 0)
        link = &(*link)->next;
    return link;
}

static struct attribute *find(const struct request *request) {
    if (!request->node->extras)
        return NULL;
    struct attribute *found = *place_of(request->node, request->name);
    return found && !strcmp(found->name, request->name) ? found : NULL;
}

static void drop(struct attribute **link) {
    struct attribute *gone = *link;
    *link = gone->next;
    heap_free(gone->value);
    heap_free(gone);
}

static void drop_all(struct extras *extras) {
    while (extras->attributes)
        drop(&extras->attributes);
}

static long store(const struct request *request, u8 *value, u64 size) {
    struct attribute *new = heap_alloc(sizeof *new);
    if (!new || !node_extras(request->node)) {
        heap_free(new);
        return -ENOSPC;
    }
    request->node->extras->drop_attributes = drop_all;
    struct attribute **link = place_of(request->node, request->name);
    if (*link && !strcmp((*link)->name, request->name))
        drop(link);
    *new = (struct attribute){.next = *link, .size = size, .value = value};
    memcpy(new->name, request->name, sizeof new->name);
    *link = new;
    request->node->changed = (s64)file_time();
    return 0;
}

static long set(const struct request *request, u8 *value, u64 size, u32 flags) {
    long error = check_name(request, CHANGE);
    if (error)
        return error;
    const struct attribute *old = find(request);
    if (old && flags & XATTR_CREATE)
        return -EEXIST;
    return !old && flags & XATTR_REPLACE ? -ENODATA : store(request, value, size);
}

/* The value is the library OS's own before the file is looked for, as the kernel copies it. */
static long take_value(long from, u64 size, u32 flags, u8 **value) {
    if (flags & ~(u32)(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    if (size > MOST_VALUE)
        return -E2BIG;
    if (!size)
        return 0;
    ((volatile const u8 *)from)[0], ((volatile const u8 *)from)[size - 1]; /* or it ends here */
    *value = heap_alloc(size);
    if (!*value)
        return -ENOMEM;
    memcpy(*value, (const void *)from, size);
    return 0;
}

static long get(const struct request *request, void *to, u64 size) {
    long error = check_name(request, LOOK);
    if (error)
        return error;
    const struct attribute *found = find(request);
    if (!found)
        return -ENODATA;
    if (size && size < found->size)
        return -ERANGE;
    if (size)
        memcpy(to, found->value, found->size);
    return (long)found->size;
}

static long list(const struct request *request, char *to, u64 size) {
    const struct extras *extras = request->node ? request->node->extras : NULL;
    u64 total = 0;
    for (const struct attribute *each = extras ? extras->attributes : NULL; each; each = each->next)
        total += strlen(each->name) + 1;
    if (!size)
        return (long)total;
    if (size < total)
        return -ERANGE;
    for (const struct attribute *each = extras ? extras->attributes : NULL; each;
         each = each->next) {
        memcpy(to, each->name, strlen(each->name) + 1);
        to += strlen(each->name) + 1;
    }
    return (long)total;
}

static long remove(const struct request *request) {
    long error = check_name(request, CHANGE);
    if (error)
        return error;
    if (!find(request))
        return -ENODATA;
    drop(place_of(request->node, request->name));
    request->node->changed = (s64)file_time();
    return 0;
}

/* A file by path, by the path of a link itself, or by descriptor. */
enum by { BY_PATH, BY_LINK, BY_FILE };

static long locate(struct request *request, enum by by, long file) {
    return by == BY_FILE ? find_file(request, file) : find_path(request, file, by == BY_PATH);
}

static long set_by(enum by by, long file, long name, long from, long size, long flags) {
    struct request request = {0};
    u8 *value = NULL;
    if ((u32)flags & ~(u32)(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    long error = ask_by_name(&request, (const char *)name);
    if (!error)
        error = take_value(from, (u64)size, (u32)flags, &value);
    if (!error)
        error = locate(&request, by, file);
    if (!error)
        error = set(&request, value, (u64)size, (u32)flags);
    if (error)
        heap_free(value);
    return error;
}

static long get_by(enum by by, long file, long name, long to, long size) {
    struct request request = {0};
    long error = ask_by_name(&request, (const char *)name);
    if (!error)
        error = locate(&request, by, file);
    return error ? error : get(&request, (void *)to, (u64)size);
}

static long list_by(enum by by, long file, long to, long size) {
    struct request request = {0};
    long error = locate(&request, by, file);
    return error ? error : list(&request, (char *)to, (u64)size);
}

static long remove_by(enum by by, long file, long name) {
    struct request request = {0};
    long error = ask_by_name(&request, (const char *)name);
    if (!error)
        error = locate(&request, by, file);
    return error ? error : remove(&request);
}

long sys_setxattr(long path, long name, long from, long size, long flags) {
    return set_by(BY_PATH, path, name, from, size, flags);
}

long sys_lsetxattr(long path, long name, long from, long size, long flags) {
    return set_by(BY_LINK, path, name, from, size, flags);
}

long sys_fsetxattr(long fd, long name, long from, long size, long flags) {
    return set_by(BY_FILE, fd, name, from, size, flags);
}

long sys_getxattr(long path, long name, long to, long size) {
    return get_by(BY_PATH, path, name, to, size);
}

long sys_lgetxattr(long path, long name, long to, long size) {
    return get_by(BY_LINK, path, name, to, size);
}

long sys_fgetxattr(long fd, long name, long to, long size) {
    return get_by(BY_FILE, fd, name, to, size);
}

long sys_listxattr(long path, long to, long size) {
    return list_by(BY_PATH, path, to, size);
}

long sys_llistxattr(long path, long to, long size) {
    return list_by(BY_LINK, path, to, size);
}

long sys_flistxattr(long fd, long to, long size) {
    return list_by(BY_FILE, fd, to, size);
}

long sys_removexattr(long path, long name) {
    return remove_by(BY_PATH, path, name);
}

long sys_lremovexattr(long path, long name) {
    return remove_by(BY_LINK, path, name);
}

long sys_fremovexattr(long fd, long name) {
    return remove_by(BY_FILE, fd, name);
}
