/* What the plan says to the code of ring 0 that changes page tables. */
#ifndef LIMPET_ARRANGE_H
#define LIMPET_ARRANGE_H

#include "contract.h"

/* Behind the code, where the plan puts it; limpet.arch.x86_64.machine has the same. */
struct arrange_plan {
    u64 root;               /* of the page tables; every table lies at its own address */
    u64 row;                /* page directories in a row, from address 0 on */
    u64 row_end;            /* the first address that has none of these */
    u64 now;                /* struct arranged */
    u64 tables_end;         /* of the room for tables */
    u64 arena_lo, arena_hi; /* each page of it is mapped once, wherever that is */
    u64 reserve_lo, reserve_hi;
    u64 jit; /* whether pages can become executable */
};

/* What has become of it, in the page of ring 0's stack. */
struct arranged {
    u64 next_table; /* where it comes from */
    u64 moved;      /* whether a page has ever been moved: an entry of the arena can be zeros */
};

long arrange(u64 from, u64 to, u64 pages, u64 rights, const struct arrange_plan *plan);

#endif
