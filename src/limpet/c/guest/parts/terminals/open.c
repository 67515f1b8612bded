/* Pseudo-terminals by their names: /dev/ptmx makes one, which is in /dev/pts as long as its master
 * is open. */
#include "parts/terminals/terminals.h"
#include "parts/world/world.h"

static struct terminal_pair *pairs;

/* /dev/pts, or NULL. */
static struct node *folder(void) {
    struct node *found;
    if (walk_to(AT_FDCWD, "/dev/pts", true, &found) || !is_directory(found))
        return NULL;
    directory_load(found);
    return found;
}

static void number_text(struct text *to, u64 number) {
    text_number(to, number);
    text_bytes(to, "", 1);
}

static struct node *name_slave(const struct terminal_pair *pair) {
    struct node *in = folder(), *made = NULL;
    struct text name = {0};
    number_text(&name, pair->number);
    if (in && !name.cut) {
        const struct standard slave = SPECIAL(name.bytes, S_IFCHR | 0620, DEVICE_PTY);
        made = standard_add(in, &slave, 0);
    }
    heap_free(name.bytes);
    if (made)
        made->capacity = pair->number, made->gid = 5; /* tty */
    return made;
}

static void forget_name(const struct terminal_pair *pair) {
    struct node *in = folder();
    struct text name = {0};
    number_text(&name, pair->number);
    struct entry *entry = in && !name.cut ? directory_find(in, name.bytes, name.used - 1) : NULL;
    if (entry && entry->node->device == DEVICE_PTY)
        directory_remove(in, entry);
    heap_free(name.bytes);
}

static void leave(struct side *side) {
    struct side **link = &side->pair->sides;
    while (*link != side)
        link = &(*link)->next;
    *link = side->next;
}

static bool any_slave(const struct terminal_pair *pair) {
    const struct side *each = pair->sides;
    while (each && each->master)
        each = each->next;
    return each;
}

static void free_pair(struct terminal_pair *pair) {
    struct terminal_pair **link = &pairs;
    while (*link != pair)
        link = &(*link)->next;
    *link = pair->next;
    heap_free(pair);
}

void terminal_release(struct file *file) {
    struct side *side = file->object;
    struct terminal_pair *pair = side->pair;
    leave(side);
    if (side->master) {
        pair->hung_up = true;
        terminal_gone(pair);
        forget_name(pair);
    }
    pair->closed = !any_slave(pair);
    file->named->references--;
    node_release(file->named);
    heap_free(side);
    if (pair->sides)
        terminal_changed(pair);
    else
        free_pair(pair);
}

static long open_side(struct terminal_pair *pair, struct node *node, long flags, bool master) {
    struct side *side = heap_alloc(sizeof *side);
    u32 kept = ((u32)flags & ~(u32)(O_CLOEXEC | O_CREAT | O_TRUNC)) | O_LARGEFILE;
    struct file *file =
        side ? file_new(master ? &terminal_master_ops : &terminal_slave_ops, kept, side) : NULL;
    if (!file) {
        heap_free(side);
        return -ENOMEM;
    }
    *side = (struct side){pair->sides, pair, file, master};
    pair->sides = side;
    file->named = node;
    node->references++;
    if (!master)
        pair->closed = false;
    return fd_install(file, 0, flags & O_CLOEXEC);
}

static struct terminal_pair *numbered(u64 number) {
    struct terminal_pair *each = pairs;
    while (each && (each->number != number || each->hung_up))
        each = each->next;
    return each;
}

/* The first may be the host's. */
static u32 free_number(void) {
    u32 number = 0;
    for (u64 fd = 0; fd < 3; fd++)
        number |= boot_info.stdio[fd].is_tty != 0;
    while (numbered(number))
        number++;
    return number;
}

static long open_master(struct node *node, long flags) {
    struct terminal_pair *pair = heap_alloc(sizeof *pair);
    if (!pair)
        return -ENOMEM;
    pair->number = free_number(), pair->locked = true;
    pair->next = pairs;
    modes_first(pair);
    pairs = pair;
    long fd = name_slave(pair) ? open_side(pair, node, flags, true) : -ENOSPC;
    if (fd < 0 && pairs == pair && !pair->sides) {
        forget_name(pair);
        free_pair(pair);
    }
    return fd;
}

long slave_open_peer(struct terminal_pair *pair, long flags) {
    struct node *in = folder();
    struct text name = {0};
    number_text(&name, pair->number);
    struct entry *entry = in && !name.cut ? directory_find(in, name.bytes, name.used - 1) : NULL;
    heap_free(name.bytes);
    return entry ? open_side(pair, entry->node, flags, false) : -EIO;
}

static long terminal_open(struct node *node, long flags) {
    if (node->device == DEVICE_PTMX)
        return open_master(node, flags);
    struct terminal_pair *pair = numbered(node->capacity);
    return pair && !pair->locked ? open_side(pair, node, flags, false) : -EIO;
}

const struct terminals own_terminals = {.open = terminal_open};
