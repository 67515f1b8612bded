/* Moving names. */
#include "parts/files/names.h"

static bool within(struct node *directory, const struct node *ancestor) {
    for (; directory != tree_root(); directory = directory->parent)
        if (directory == ancestor)
            return true;
    return directory == ancestor;
}

static long may_replace_kind(const struct node *old, const struct node *target) {
    if (is_directory(target) && !is_directory(old))
        return -EISDIR;
    return !is_directory(target) && is_directory(old) ? -ENOTDIR : 0;
}

static long may_replace(struct node *old, struct node *target) {
    long error = may_replace_kind(old, target);
    if (error)
        return error;
    return is_directory(target) && !directory_empty(target) ? -ENOTEMPTY : 0;
}

enum { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2 };

/* Both directories hear of it, with a number that tells which two events are one. */
static void tell(const struct walked *from, const struct walked *to, struct node *node) {
    static u32 moves;
    if (!node_watched)
        return;
    moves++;
    name_changed(from, node, CHANGED_MOVED_FROM, moves);
    name_changed(to, node, CHANGED_MOVED_TO, moves);
}

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
    tell(from, to, b->node);
    tell(to, from, a->node);
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
    tell(from, to, node);
    return 0;
}

/* What had the name before loses it. */
static long move_over(struct walked *from, struct walked *to) {
    struct node *replaced = to->node;
    long error = replaced ? may_replace(from->node, replaced) : 0;
    if (error)
        return error;
    if (replaced)
        replaced = take_name(to);
    error = move_name(from, to);
    if (replaced && !is_directory(replaced))
        node_changed_alone(replaced, CHANGED_ATTRIBUTES);
    node_changed_alone(from->node, CHANGED_PLACE);
    if (replaced)
        give_up(replaced);
    return error;
}

/* A folder that gets another parent is written to: its "..". */
static long may_get(const struct walked *to, const struct node *node, const struct node *from) {
    return is_directory(node) && from != to->parent ? may(node, MAY_WRITE) : 0;
}

static long may_move(const struct walked *from, const struct walked *to, long flags) {
    long error = may_remove(from);
    if (!error)
        error = to->node ? may_remove(to) : may(to->parent, MAY_WRITE | MAY_EXECUTE);
    if (!error && to->node && !(flags & RENAME_EXCHANGE))
        error = may_replace_kind(from->node, to->node);
    if (!error)
        error = may_get(to, from->node, from->parent);
    if (!error && flags & RENAME_EXCHANGE)
        error = may_get(from, to->node, to->parent);
    return error;
}

long sys_renameat2(long from_directory, long old, long to_directory, long path, long flags) {
    struct walked from, to;
    flags = (u32)flags;
    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == 3)
        return -EINVAL;
    long error = walk_to_name(from_directory, old, &from);
    if (!error)
        error = walk_to_name(to_directory, path, &to);
    if (!error && guest_volumes)
        error = names_settle(&from, LAST_NAME);
    if (!error && guest_volumes)
        error = names_settle(&to, LAST_NAME);
    if (error)
        return error;
    if (from.volume || to.volume)
        return names_between(&from, &to, NAME_MOVED, flags);
    if (names_kept(&from) != names_kept(&to))
        return -EXDEV;
    if (is_dot(&from))
        return -EBUSY;
    if (is_dot(&to))
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    if (!from.node)
        return name_missing(&from);
    if (to.node && flags & RENAME_NOREPLACE)
        return -EEXIST;
    if (!to.node && (to.length > NAME_MAX || flags & RENAME_EXCHANGE))
        return name_missing(&to);
    if (flags & RENAME_EXCHANGE && to.directory_only && !is_directory(to.node))
        return -ENOTDIR;
    bool slash = from.directory_only || (to.directory_only && !(flags & RENAME_EXCHANGE));
    if (slash && !is_directory(from.node))
        return -ENOTDIR;
    if (from.node->device == DEVICE_MOUNT || (to.node && to.node->device == DEVICE_MOUNT))
        return -EBUSY;
    if (is_directory(from.node) && within(to.parent, from.node))
        return -EINVAL;
    if (to.node && is_directory(to.node) && within(from.parent, to.node))
        return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    if (!from.parent->links || !to.parent->links)
        return -ENOENT;
    if (names_kept(&from))
        return to.node ? -EPERM : -ENOENT;
    if (to.node == from.node)
        return 0;
    error = users ? may_move(&from, &to, flags) : 0;
    if (error)
        return error;
    if (flags & RENAME_EXCHANGE)
        return exchange(&from, &to);
    return move_over(&from, &to);
}

long sys_renameat(long from_directory, long old, long to_directory, long path) {
    return sys_renameat2(from_directory, old, to_directory, path, 0);
}

long sys_rename(long old, long path) {
    return sys_renameat2(AT_FDCWD, old, AT_FDCWD, path, 0);
}
