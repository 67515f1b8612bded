/*
 * Pages of the arena that the program gave back: they are out of its reach until somebody takes
 * them again.  What it never had can be touched, and is zeros.
 */
#include "parts/memory/reserve.h"

enum { BITS = 64 };

static u64 *hidden; /* a bit for each page of the arena; NULL until one is given back */

static u64 number_of(u64 at) {
    return (at - guest_info.arena_lo) / PAGE;
}

static bool get(u64 page) {
    return hidden[page / BITS] >> page % BITS & 1;
}

bool is_hidden(u64 at) {
    return hidden && in_arena(at, 1) && get(number_of(at));
}

/* Without memory for the list they stay in reach. */
void pages_hide(u64 low, u64 high) {
    if (!hidden)
        hidden = heap_alloc(number_of(guest_info.arena_hi) / 8 + sizeof *hidden);
    if (!hidden)
        return;
    host_protect(low, high, 0);
    for (u64 page = number_of(low); page < number_of(high); page++)
        hidden[page / BITS] |= 1UL << page % BITS;
}

/* From the first of them that is hidden to the last: all of these pages are taken. */
void pages_show(u64 at, u64 size) {
    u64 low = 0, high = 0;
    for (u64 each = at; hidden && each < at + size; each += PAGE) {
        u64 page = number_of(each);
        if (!get(page))
            continue;
        hidden[page / BITS] &= ~(1UL << page % BITS);
        low = low ? low : each, high = each + PAGE;
    }
    if (high)
        host_protect(low, high, PROT_READ | PROT_WRITE);
}
