/* From the tables to nodes, a folder at a time, when the program first looks into it. */
#include "parts/files/names.h"
#include "parts/outside/plan.h"
#include "parts/world/world.h"

static const struct standard no_names[] = {{0}};

static const struct standard root_names[] = {
    {.name = "dev", .mode = S_IFDIR | 0755, .device = DEVICE_NODES, .folder = dev_names},
    FOLDER("etc", 0755, etc_names),
    FOLDER("proc", 0555, proc_names),
    FOLDER("run", 0755, no_names),
    FOLDER("sys", 0555, sys_names),
    FOLDER("tmp", 01777, no_names),
    {0},
};

/* A folder that the packed tree has gets the names that it lacks. */
static void complete(struct node *directory, const struct standard *from, u64 number) {
    directory->device = from->device ? from->device : DEVICE_FOLDER;
    directory->standard = from->folder;
    directory->number = number;
    if (!(from->mode & 0222))
        directory->seals |= NAMES_KEPT;
}

static void name_program(struct node *link) {
    const char *name = (const char *)guest_info.name;
    link->device = NOT_A_DEVICE; /* an ordinary link */
    content_write(link, name, strlen(name), 0);
}

struct node *standard_add(struct node *parent, const struct standard *from, u64 number) {
    u64 length = strlen(from->name);
    bool folder = (from->mode & S_IFMT) == S_IFDIR;
    struct entry *entry = directory_find(parent, from->name, length);
    if (entry) {
        if (folder && from->folder && is_directory(entry->node))
            complete(entry->node, from, number);
        return NULL;
    }
    struct node *node = node_new(from->mode);
    if (!node)
        return NULL;
    node->modified = node->changed = node->accessed = parent->modified;
    node->device = from->device;
    if (folder)
        complete(node, from, number);
    else if (from->device == DEVICE_SYNTHETIC)
        node->standard = from, node->number = number;
    else if (from->device == DEVICE_PROGRAM)
        name_program(node);
    else if (from->text)
        content_write(node, from->text, from->size, 0);
    if (directory_add(parent, from->name, length, node) == 0)
        return node;
    node_release(node);
    return NULL;
}

void standard_root(struct node *root) {
    root->device = DEVICE_FOLDER;
    root->standard = root_names;
}

static void add_all(struct node *directory, const struct standard *from) {
    for (; from && from->name; from++)
        standard_add(directory, from, directory->number);
}

void standard_load(struct node *directory) {
    const struct standard *from = directory->standard;
    enum device device = directory->device;
    directory->standard = NULL;
    directory->device = NOT_A_DEVICE; /* while names are added */
    if (from == etc_names && outside_broker)
        add_all(directory, outside_broker->etc);
    add_all(directory, from);
    switch (device) {
    case DEVICE_NODES:
        dev_load(directory);
        break;
    case DEVICE_TERMINALS:
        pts_load(directory);
        break;
    case DEVICE_THREADS:
        threads_load(directory);
        directory->device = device; /* again whenever it is looked into */
        break;
    case DEVICE_MOUNT: /* nothing of the tree is to be seen there */
        directory->device = device;
        break;
    case DEVICE_FDS:
    case DEVICE_FD_INFO:
        descriptors_load(directory, device == DEVICE_FD_INFO);
        directory->device = device;
        break;
    default:
        break;
    }
}
