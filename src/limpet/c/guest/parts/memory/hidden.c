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
    while (low < high && get(number_of(low)))
        low += PAGE;
    while (low < high && get(number_of(high) - 1))
        high -= PAGE;
    if (low < high)
        host_protect(low, high, 0);
    for (u64 page = number_of(low); page < number_of(high); page++)
        hidden[page / BITS] |= 1UL << page % BITS;
}

/* The first run of hidden pages of [at, end), or an empty one there. */
static u64 run_of(u64 *at, u64 end) {
    while (*at < end && !get(number_of(*at)))
        *at += !hidden[number_of(*at) / BITS] && number_of(*at) % BITS == 0 ? BITS * PAGE : PAGE;
    u64 high = MIN(*at, end);
    while (high < end && get(number_of(high)))
        high += PAGE;
    return high;
}

/* All of these pages are taken. */
void pages_show(u64 at, u64 size) {
    for (u64 low = at, high; hidden && low < at + size; low = high) {
        high = run_of(&low, at + size);
        if (high <= low)
            return;
        for (u64 page = number_of(low); page < number_of(high); page++)
            hidden[page / BITS] &= ~(1UL << page % BITS);
        host_protect(low, high, PROT_READ | PROT_WRITE);
    }
}

/* A guest that goes on from a snapshot finds all pages in reach. */
void pages_hide_again(void) {
    u64 end = guest_info.arena_hi;
    for (u64 low = guest_info.arena_lo, high; hidden && low < end; low = high) {
        high = run_of(&low, end);
        if (high <= low)
            return;
        host_protect(low, high, 0);
    }
}
