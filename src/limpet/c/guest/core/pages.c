/*
 * The arena, page by page.  Three bitmaps at its start say which pages are taken,
 * which of these are the program's, and which have been written before: only those
 * need zeroing when they are given out again.  brk grows from the bottom, so
 * everything else is taken from the top.
 */
#include "libos.h"

#define BITS 64UL

static u64 *taken, *programs, *dirty;
static u64 total, free_pages, top_hint;
static bool ran_out; /* the last request of the program could not be met */

void pages_missing(void) {
    ran_out = true;
}

bool pages_ran_out(void) {
    return ran_out;
}

static u64 number_of(u64 address) {
    return (address - guest_info.arena_lo) / PAGE;
}

static bool get(const u64 *map, u64 page) {
    return map[page / BITS] >> page % BITS & 1;
}

static void put(u64 *map, u64 page, bool value) {
    u64 bit = 1UL << page % BITS;
    map[page / BITS] = value ? map[page / BITS] | bit : map[page / BITS] & ~bit;
}

static void set_up(void) {
    total = (guest_info.arena_hi - guest_info.arena_lo) / PAGE;
    u64 words = (total + BITS - 1) / BITS;
    taken = (u64 *)guest_info.arena_lo;
    programs = taken + words;
    dirty = programs + words;
    u64 own = (3 * words * sizeof(u64) + PAGE - 1) / PAGE;
    for (u64 page = 0; page < own; page++)
        put(taken, page, true);
    free_pages = total - own;
    top_hint = total;
}

static inline void ready(void) {
    if (!taken)
        set_up();
}

u64 pages_first(void) {
    ready();
    u64 own = (3 * ((total + BITS - 1) / BITS) * sizeof(u64) + PAGE - 1) / PAGE;
    return guest_info.arena_lo + own * PAGE;
}

static __attribute__((noinline)) void take(u64 first, u64 count, enum pages_owner owner) {
    if (guest_memory)
        guest_memory->show(guest_info.arena_lo + first * PAGE, count * PAGE);
    for (u64 page = first; page < first + count; page++) {
        put(taken, page, true);
        put(programs, page, owner == PAGES_PROGRAM);
        if (get(dirty, page))
            memset((void *)(guest_info.arena_lo + page * PAGE), 0, PAGE);
        put(dirty, page, true);
    }
    free_pages -= count;
    if (owner == PAGES_PROGRAM) /* not for the signal that says it had too little */
        ran_out = false;
}

/* The highest run of `count` free pages that ends at or below `limit`. */
static __attribute__((noinline)) bool find(u64 count, u64 limit, u64 *first) {
    u64 run = 0;
    for (u64 page = limit; page-- > 0;) {
        if (page % BITS == BITS - 1 && taken[page / BITS] == ~0UL) {
            page -= BITS - 1, run = 0;
            continue;
        }
        run = get(taken, page) ? 0 : run + 1;
        if (run == count) {
            *first = page;
            return true;
        }
    }
    return false;
}

u64 pages_take(u64 count, enum pages_owner owner) {
    ready();
    u64 first;
    bool found = count && count <= free_pages &&
                 (find(count, top_hint, &first) || find(count, total, &first));
    if (!found) {
        pages_missing();
        return 0;
    }
    top_hint = first + count;
    take(first, count, owner);
    return guest_info.arena_lo + first * PAGE;
}

/* A run that starts where a large page does: a virtual machine changes such pages as a whole. */
u64 pages_take_large(u64 count, enum pages_owner owner) {
    ready();
    u64 first, more = LARGE_PAGE / PAGE - 1;
    if (count > free_pages || !find(count + more, total, &first))
        return pages_take(count, owner);
    u64 at = ALIGN_UP(guest_info.arena_lo + first * PAGE, LARGE_PAGE);
    take(number_of(at), count, owner);
    return at;
}

static bool inside(u64 at, u64 count) {
    return at >= guest_info.arena_lo && at <= guest_info.arena_hi && at % PAGE == 0 &&
           count <= (guest_info.arena_hi - at) / PAGE;
}

bool pages_take_at(u64 at, u64 count, enum pages_owner owner) {
    ready();
    if (!inside(at, count) || !pages_are(at, count, PAGES_FREE))
        return false;
    take(number_of(at), count, owner);
    return true;
}

static enum pages_owner owner_of(u64 page) {
    if (!get(taken, page))
        return PAGES_FREE;
    return get(programs, page) ? PAGES_PROGRAM : PAGES_LIBOS;
}

void pages_give(u64 at, u64 count, enum pages_owner owner) {
    ready();
    u64 low = MAX(at, guest_info.arena_lo), high = MIN(at + count * PAGE, guest_info.arena_hi);
    if (low >= high)
        return;
    for (u64 page = number_of(low); page < number_of(high); page++) {
        if (owner_of(page) != owner)
            continue;
        put(taken, page, false);
        free_pages++;
    }
    top_hint = MAX(top_hint, number_of(high));
}

bool pages_are(u64 at, u64 count, enum pages_owner owner) {
    ready();
    if (!inside(at, count))
        return false;
    for (u64 page = number_of(at); page < number_of(at) + count; page++)
        if (owner_of(page) != owner)
            return false;
    return true;
}

u64 pages_free_count(void) {
    ready();
    return free_pages;
}
