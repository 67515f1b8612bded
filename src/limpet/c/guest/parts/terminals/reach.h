/* How what opens files reaches pseudo-terminals: nothing in a program that cannot make any. */
#ifndef LIMPET_TERMINALS_REACH_H
#define LIMPET_TERMINALS_REACH_H

struct node;

struct terminals {
    long (*open)(struct node *node, long flags); /* /dev/ptmx, or one of /dev/pts */
};
extern const struct terminals own_terminals;
extern const struct terminals *const guest_terminals; /* generated; NULL: the plan has none */

#endif
