/* Nodes and names.  The packed tree is read in a directory at a time, when it is first
 * entered, and so are the names that every program counts on (parts/world); what the program
 * never looks at costs nothing. */
#include "parts/files/node.h"

static struct node *root;
static u64 next_cookie = 3; /* 1 and 2 are "." and ".." */
static u32 next_ino;
void (*node_watched)(const struct change *change);
const struct users *users;
static struct node **linked; /* packed nodes with several names, by record */

static const struct tree_head *head(void) {
    return (const struct tree_head *)guest_info.tree;
}

static const struct tree_record *record(u64 index) {
    return (const struct tree_record *)(head() + 1) + index;
}

const u8 *packed_bytes(const struct node *node) {
    return (const u8 *)guest_info.tree + node->packed->data;
}

struct node *node_new(u32 mode) {
    struct node *node = heap_alloc(sizeof *node);
    if (!node)
        return NULL;
    node->mode = mode;
    node->ino = ++next_ino;
    node->accessed = node->modified = node->changed = (s64)file_time();
    return node;
}

void made_in(struct node *node, const struct node *directory) {
    if (users)
        users->made(node);
    if (!(directory->mode & S_ISGID))
        return;
    node->gid = directory->gid;
    if (is_directory(node))
        node->mode |= S_ISGID;
    else if (users && node->mode & 010)
        node->mode = users->mode(node->mode, node->gid);
}

struct extras *node_extras(struct node *node) {
    if (!node->extras)
        node->extras = heap_alloc(sizeof *node->extras);
    return node->extras;
}

static void drop_extras(struct node *node) {
    struct extras *extras = node->extras;
    if (extras && extras->drop_attributes)
        extras->drop_attributes(extras);
    heap_free(extras);
}

static struct node *unpack(u64 index) {
    const struct tree_record *from = record(index);
    if (from->links > 1 && linked[from->inode]) {
        linked[from->inode]->links++;
        return linked[from->inode];
    }
    struct node *node = heap_alloc(sizeof *node);
    if (!node)
        return NULL;
    node->mode = from->mode, node->uid = from->uid, node->gid = from->gid;
    node->links = 1;
    node->ino = from->inode + 1;
    node->size = (from->mode & S_IFMT) == S_IFDIR ? 0 : from->size;
    node->accessed = node->modified = node->changed = from->modified;
    node->packed = from;
    if (from->links > 1)
        linked[from->inode] = node;
    return node;
}

/* A directory counts those in it, read in yet or not. */
u32 node_links(struct node *node) {
    if (is_directory(node) && node->device)
        directory_load(node);
    u32 links = node->links;
    const struct tree_record *from = is_directory(node) ? node->packed : NULL;
    for (u64 i = 0; from && i < from->size; i++)
        links += (record(from->data + i)->mode & S_IFMT) == S_IFDIR;
    return links;
}

static void load_packed(struct node *directory) {
    const struct tree_record *from = directory->packed;
    directory->packed = NULL;
    for (u64 i = 0; i < from->size; i++) {
        const struct tree_record *child = record(from->data + i);
        struct node *node = unpack(from->data + i);
        if (!node || directory_add(directory, (const char *)head() + child->name,
                                   child->name_length, node) < 0)
            panic("no memory to read a directory");
        node->links--; /* directory_add has counted the name; unpack had too */
    }
}

void directory_load(struct node *directory) {
    enum device device = directory->device;
    directory->device = NOT_A_DEVICE; /* until what the tree has itself is there */
    if (directory->packed)
        load_packed(directory);
    directory->device = device;
    if (device)
        standard_load(directory);
}

u64 packed_inode_count(void) {
    return guest_info.tree_size ? head()->records : 0;
}

struct node *tree_root(void) {
    if (root)
        return root;
    next_ino = (u32)packed_inode_count() + 1;
    if (guest_info.tree_size) {
        linked = heap_alloc((packed_inode_count() + 1) * sizeof *linked);
        root = linked ? unpack(0) : NULL;
    } else {
        root = node_new(S_IFDIR | 0755);
    }
    if (!root)
        panic("no memory for the file tree");
    root->parent = root;
    root->links = 2;
    standard_root(root);
    if (guest_volumes)
        guest_volumes->mount(root);
    return root;
}

struct entry *directory_find(struct node *directory, const char *name, u64 length) {
    directory_load(directory);
    for (struct entry *entry = directory->first; entry; entry = entry->next)
        if (entry->length == length && !memcmp(entry->name, name, length))
            return entry;
    return NULL;
}

/* Give `node` a name.  A directory counts two links: its name and its own ".". */
long directory_add(struct node *directory, const char *name, u64 length, struct node *node) {
    directory_load(directory);
    struct entry *entry = heap_alloc(sizeof *entry + length + 1);
    if (!entry)
        return -ENOSPC;
    entry->node = node;
    entry->length = (u32)length;
    entry->cookie = next_cookie++;
    memcpy(entry->name, name, length);
    if (directory->last)
        directory->last->next = entry;
    else
        directory->first = entry;
    directory->last = entry;
    node->links += is_directory(node) ? 2 : 1;
    if (is_directory(node)) {
        directory_adopt(directory, node);
        directory->links++;
    }
    return 0;
}

/* A removed directory keeps its parent: ".." goes on leading there. */
void directory_adopt(struct node *directory, struct node *node) {
    struct node *before = node->parent;
    directory->references++;
    node->parent = directory;
    if (before) {
        before->references--;
        node_release(before);
    }
}

void directory_remove(struct node *directory, struct entry *entry) {
    struct entry *before = NULL;
    for (struct entry *each = directory->first; each != entry; each = each->next)
        before = each;
    if (before)
        before->next = entry->next;
    else
        directory->first = entry->next;
    if (directory->last == entry)
        directory->last = before;
    struct node *node = entry->node;
    node->links -= is_directory(node) ? 2 : 1;
    if (is_directory(node))
        directory->links--;
    heap_free(entry);
    node_release(node);
}

/* Its parent may have been there for it alone, and so on: a thread's stack is no place for that. */
void node_release(struct node *node) {
    while (node && !node->links && !node->references && node != root) {
        struct node *parent = node->parent;
        node_changed_alone(node, CHANGED_GONE);
        content_free(node);
        drop_extras(node);
        if (node->packed && linked && linked[node->packed->inode] == node)
            linked[node->packed->inode] = NULL;
        heap_free(node);
        if (parent)
            parent->references--;
        node = parent;
    }
}
