/* What is asked before a program that is not root may do something. */
#ifndef LIMPET_USERS_H
#define LIMPET_USERS_H

#include "libos.h"

struct node;

enum { MAY_EXECUTE = 1, MAY_WRITE = 2, MAY_READ = 4 };

/* What who is not root may do (parts/system/users.c); NULL while the program is root. */
struct users {
    long (*may)(const struct node *node, u32 want);                         /* 0 or -EACCES */
    long (*owns)(const struct node *node);                                  /* 0 or -EPERM */
    long (*removes)(const struct node *directory, const struct node *node); /* its name there */
    long (*gives)(const struct node *node, u32 user, u32 group);
    u32 (*mode)(u32 mode, u32 group); /* as much of it as may be set */
    void (*made)(struct node *node);
    void (*written)(struct node *node);
    void (*asks)(bool begins); /* as the real user, meanwhile; no pointer may be bad then */
};
extern const struct users *users;

static inline long may(const struct node *node, u32 want) {
    return users ? users->may(node, want) : 0;
}

/* attributes.c: the mode that is left of a file when its owner changes. */
u32 after_owner(const struct node *node);

/* nodes.c: a new node is its maker's, and in a set-group-ID folder that folder's group's. */
void made_in(struct node *node, const struct node *directory);

#endif
