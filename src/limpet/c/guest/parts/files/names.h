/* What making, removing and moving names share. */
#ifndef LIMPET_NAMES_H
#define LIMPET_NAMES_H

#include "parts/files/node.h"

/* The directory and the name of a path; the name's node, where there is one. */
long walk_to_name(long directory, long path, struct walked *walked);

/* Afterwards the place is in the tree, or in a volume by a path without links. */
long names_settle(struct walked *walked, enum last last);

/* What is done to two names of which one is in a volume at least. */
long names_between(struct walked *old, struct walked *new, u32 what, long flags);

long name_missing(const struct walked *walked); /* ENOENT, or why it cannot be */
bool directory_empty(struct node *directory);
struct node *take_name(struct walked *walked); /* it goes, and what it named after give_up */
void give_up(struct node *node);

/* In `seals` of a folder of /proc or /sys: its names are not the program's to make or remove. */
enum { NAMES_KEPT = 0x100 };

static inline bool names_kept(const struct walked *walked) {
    return walked->parent->seals & NAMES_KEPT;
}

/* Whether the program may take a name from its folder: 0, -EACCES or -EPERM. */
static inline long may_remove(const struct walked *walked) {
    return users ? users->removes(walked->parent, walked->node) : 0;
}

#endif
