/* What the plan says to the code of ring 0 that changes page tables. */
#ifndef LIMPET_ARRANGE_H
#define LIMPET_ARRANGE_H

#include "contract.h"

/* Behind the code, where the plan puts it; limpet.arch.x86_64.machine has the same. */
struct arrange_plan {
    u64 root;               /* of the page tables; every table lies at its own address */
    u64 tables;             /* the word that says where the next table comes from */
    u64 tables_end;         /* of the room for tables */
    u64 arena_lo, arena_hi; /* each page of it is mapped once, wherever that is */
    u64 reserve_lo, reserve_hi;
    u64 jit; /* whether pages can become executable */
};

long arrange(u64 from, u64 to, u64 pages, u64 rights, const struct arrange_plan *plan);

#endif
