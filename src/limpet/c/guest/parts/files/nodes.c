/* Nodes and names.  The packed tree is read in a directory at a time, when it is first
 * entered; what the program never looks at costs nothing. */
#include "parts/files/node.h"

static struct node *root;
static u64 next_cookie = 3; /* 1 and 2 are "." and ".." */
static u32 next_ino;
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
u32 node_links(const struct node *node) {
    u32 links = node->links;
    const struct tree_record *from = is_directory(node) ? node->packed : NULL;
    for (u64 i = 0; from && i < from->size; i++)
        links += (record(from->data + i)->mode & S_IFMT) == S_IFDIR;
    return links;
}

void directory_load(struct node *directory) {
    const struct tree_record *from = directory->packed;
    if (!from)
        return;
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

/* The nodes that every Linux program counts on, unless the tree has them. */
static void add_standard(struct node *parent, const char *name, u32 mode, enum device device) {
    if (directory_find(parent, name, strlen(name)))
        return;
    struct node *node = node_new(mode);
    if (!node)
        return;
    node->device = device;
    node->modified = node->changed = node->accessed = 0;
    directory_add(parent, name, strlen(name), node);
}

static struct node *standard_directory(struct node *parent, const char *name, u32 mode) {
    add_standard(parent, name, S_IFDIR | mode, NOT_A_DEVICE);
    struct entry *entry = directory_find(parent, name, strlen(name));
    return entry && is_directory(entry->node) ? entry->node : NULL;
}

static void add_link(struct node *parent, const char *name, const char *target) {
    if (directory_find(parent, name, strlen(name)))
        return;
    struct node *node = node_new(S_IFLNK | 0777);
    if (node && content_write(node, target, strlen(target), 0) >= 0)
        directory_add(parent, name, strlen(name), node);
}

/* The plan's devices: block devices by their names, networks behind one file. */
static void add_devices(struct node *dev) {
    const struct manifest *devices = (const struct manifest *)guest_info.devices;
    for (u64 i = 1; block_device_ops && i < devices->count; i++) {
        const char *name = devices->entries[i].name;
        if (devices->entries[i].type != DEVICE_BLOCK)
            continue;
        add_standard(dev, name, S_IFBLK | 0660, DEVICE_DISK);
        struct entry *entry = directory_find(dev, name, strlen(name));
        if (entry && entry->node->device == DEVICE_DISK)
            entry->node->capacity = i;
    }
    struct node *net = net_device_ops ? standard_directory(dev, "net", 0755) : NULL;
    if (net)
        add_standard(net, "tun", S_IFCHR | 0666, DEVICE_TUN);
}

static void add_standards(void) {
    struct node *dev = standard_directory(root, "dev", 0755);
    struct node *proc = standard_directory(root, "proc", 0555);
    standard_directory(root, "tmp", 01777);
    if (dev) {
        add_standard(dev, "null", S_IFCHR | 0666, DEVICE_NULL);
        add_standard(dev, "zero", S_IFCHR | 0666, DEVICE_ZERO);
        add_standard(dev, "full", S_IFCHR | 0666, DEVICE_FULL);
        add_standard(dev, "random", S_IFCHR | 0666, DEVICE_RANDOM);
        add_standard(dev, "urandom", S_IFCHR | 0666, DEVICE_RANDOM);
        add_standard(dev, "tty", S_IFCHR | 0666, DEVICE_TTY);
        add_devices(dev);
        add_link(dev, "fd", "/proc/self/fd");
        add_link(dev, "stdin", "/proc/self/fd/0");
        add_link(dev, "stdout", "/proc/self/fd/1");
        add_link(dev, "stderr", "/proc/self/fd/2");
    }
    struct node *self = proc ? standard_directory(proc, "self", 0555) : NULL;
    if (self)
        add_link(self, "exe", (const char *)guest_info.name);
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
    add_standards();
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

void node_release(struct node *node) {
    if (node->links || node->references || node == root)
        return;
    content_free(node);
    if (node->parent) {
        node->parent->references--;
        node_release(node->parent);
    }
    if (node->packed && linked && linked[node->packed->inode] == node)
        linked[node->packed->inode] = NULL;
    heap_free(node);
}
