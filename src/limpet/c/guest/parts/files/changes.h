/* What is told of files to who watches them (parts/inotify).  A program that watches none has a
 * pointer that is NULL. */
#ifndef LIMPET_CHANGES_H
#define LIMPET_CHANGES_H

#include "libos.h"

struct node;

/* The numbers are those of inotify(7). */
enum {
    CHANGED_READ = 1,
    CHANGED_CONTENT = 2,
    CHANGED_ATTRIBUTES = 4,
    CHANGED_CLOSED_WRITTEN = 8,
    CHANGED_CLOSED = 0x10,
    CHANGED_OPENED = 0x20,
    CHANGED_WITHIN = 0x3f, /* those that its directory hears of too */
    CHANGED_MOVED_FROM = 0x40,
    CHANGED_MOVED_TO = 0x80,
    CHANGED_CREATED = 0x100,
    CHANGED_DELETED = 0x200,
    CHANGED_GONE = 0x400,
    CHANGED_PLACE = 0x800,
    CHANGED_FOLDER = 0x40000000
};

struct change {
    struct node *node;
    u32 what, cookie;
    struct node *directory; /* of a name that came or went; else NULL */
    const char *name;
    u64 length;
    bool alone; /* its directory does not hear of it */
};

extern void (*node_watched)(const struct change *change);

static inline void node_changed(struct node *node, u32 what) {
    if (node_watched)
        node_watched(&(struct change){.node = node, .what = what, .name = ""});
}

static inline void node_changed_alone(struct node *node, u32 what) {
    if (node_watched)
        node_watched(&(struct change){.node = node, .what = what, .name = "", .alone = true});
}

#endif
