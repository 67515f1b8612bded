/*
 * Files as memory.  All memory has one address only, so what is mapped shared is the file
 * itself: its pages lie in a row, and whoever maps the same bytes again gets the same address.
 * Whoever wants them elsewhere meanwhile takes row by row (memory/aliases.c), or gets none.
 */
#include "parts/files/node.h"
#include "parts/memory/maps.h"

#define SMALL_FILE (1UL << 20)

static u64 low_of(const struct extent *extent) {
    return extent->first * PAGE;
}

static u64 high_of(const struct extent *extent) {
    return (extent->first + extent->count) * PAGE;
}

/* The bytes of the file at `at`, as far as they lie in a row; for less than `size` of them
 * that becomes less, whether they are here or not. */
u8 *extent_bytes(const struct node *node, u64 at, u64 *size) {
    for (const struct extent *each = node->extents; each; each = each->next) {
        if (at >= low_of(each) && at < high_of(each)) {
            *size = MIN(*size, high_of(each) - at);
            return (u8 *)each->at + (at - low_of(each));
        }
        if (low_of(each) > at)
            *size = MIN(*size, low_of(each) - at);
    }
    return NULL;
}

/* Around an access: a program's mapping may be one to read, or out of reach. */
void extent_use(const u8 *at, u64 size, u64 rights, bool begins) {
    if (guest_memory)
        guest_memory->lend((u64)at, size, rights, begins);
}

/* Zeros in [from, to), where pages are mapped. */
void extents_clear(struct node *node, u64 from, u64 to) {
    for (const struct extent *each = node->extents; each; each = each->next) {
        u64 low = MAX(from, low_of(each)), high = MIN(to, high_of(each));
        if (low >= high)
            continue;
        u8 *at = (u8 *)each->at + (low - low_of(each));
        extent_use(at, high - low, PROT_WRITE, true);
        memset(at, 0, high - low);
        extent_use(at, high - low, PROT_WRITE, false);
    }
}

/* What a mapping left behind the end is no part of the file, and what lies there can be touched. */
void extents_longer(struct node *node, u64 size) {
    u64 end = ALIGN_UP(node->size, PAGE);
    extents_clear(node, node->size, MIN(size, end)); /* and what is behind it stays */
    for (const struct extent *each = node->extents; guest_memory && each; each = each->next) {
        u64 low = MAX(end, low_of(each)), high = MIN(ALIGN_UP(size, PAGE), high_of(each));
        if (low < high)
            guest_memory->show(each->at + (low - low_of(each)), high - low);
    }
}

static void forget(struct extent *extent) {
    if (guest_memory)
        guest_memory->hide(extent->at, extent->at + extent->count * PAGE);
    pages_give(extent->at, extent->count, PAGES_LIBOS);
    heap_free(extent);
}

void extents_free(struct node *node) {
    while (node->extents) {
        struct extent *extent = node->extents;
        node->extents = extent->next;
        forget(extent);
    }
}

static void unlink(struct node *node, struct extent *extent) {
    struct extent **link = &node->extents;
    while (*link != extent)
        link = &(*link)->next;
    *link = extent->next;
}

static void link(struct node *node, struct extent *extent) {
    extent->next = node->extents;
    node->extents = extent;
}

/* Nobody maps it any more: its bytes go where those of other files are.  Without memory for
 * that they stay, and serve as well. */
static void dissolve(struct node *node, struct extent *extent) {
    u64 low = low_of(extent);
    u64 size = low < node->size ? MIN(node->size, high_of(extent)) - low : 0;
    if (content_make_own(node, (const u8 *)extent->at, size, low) < 0)
        return;
    unlink(node, extent);
    if (content_keep(node, (const u8 *)extent->at, size, low) == 0)
        forget(extent);
    else
        link(node, extent);
}

static bool overlaps(const struct extent *extent, u64 first, u64 count) {
    return extent->first < first + count && first < extent->first + extent->count;
}

/* Room in front of and behind a row, so that it has all of [first, first + count). */
static bool grow(struct node *node, struct extent *extent, u64 first, u64 count) {
    u64 end = extent->first + extent->count, below = extent->first - MIN(first, extent->first);
    u64 above = MAX(first + count, end) - end;
    u64 low = extent->at - below * PAGE, behind = extent->at + extent->count * PAGE;
    if (below && !pages_take_at(low, below, PAGES_LIBOS))
        return false;
    if (above && !pages_take_at(behind, above, PAGES_LIBOS)) {
        pages_give(low, below, PAGES_LIBOS);
        return false;
    }
    content_read(node, (void *)low, below * PAGE, (extent->first - below) * PAGE);
    content_read(node, (void *)behind, above * PAGE, end * PAGE);
    extent->first -= below, extent->at = low;
    extent->count += below + above;
    return true;
}

static long address(const struct extent *extent, const struct mapping_wish *wish) {
    u64 at = extent->at + (wish->offset - low_of(extent));
    return wish->fixed && at != wish->at ? -ENODEV : (long)at;
}

/* A small file lies in a row as a whole, so that all of it can be mapped whenever some is. */
static void widen(const struct node *node, u64 *first, u64 *end) {
    u64 low = 0, high = (node->size + PAGE - 1) / PAGE;
    if (node->size > SMALL_FILE || *first > SMALL_FILE / PAGE)
        return;
    for (const struct extent *each = node->extents; each; each = each->next) {
        if (each->first < *first)
            low = MAX(low, each->first + each->count);
        else
            high = MIN(high, each->first);
    }
    *first = MIN(*first, low), *end = MAX(*end, high);
}

static bool take(const struct node *node, struct extent *extent, const struct mapping_wish *wish) {
    u64 first = wish->offset / PAGE, end = first + wish->length / PAGE;
    if (!wish->fixed)
        widen(node, &first, &end);
    u64 hint = wish->at - (wish->offset - first * PAGE);
    extent->first = first, extent->count = end - first;
    extent->at = wish->at && pages_take_at(hint, end - first, PAGES_LIBOS) ? hint : 0;
    if (!extent->at && !wish->fixed)
        extent->at = pages_take(end - first, PAGES_LIBOS);
    return extent->at;
}

static long lay(struct node *node, const struct mapping_wish *wish) {
    struct extent *extent = heap_alloc(sizeof *extent);
    if (!extent)
        return -ENOMEM;
    if (!take(node, extent, wish)) {
        heap_free(extent);
        return -ENOMEM;
    }
    content_read(node, (void *)extent->at, extent->count * PAGE, low_of(extent));
    link(node, extent);
    content_give_back(node, low_of(extent), extent->count * PAGE);
    return address(extent, wish);
}

/* What lies in a row from there on; or a row for what lies in none. */
static long row_from(struct node *node, const struct mapping_wish *wish) {
    u8 *there = extent_bytes(node, wish->offset, wish->row);
    if (there)
        return (long)there;
    struct mapping_wish row = *wish;
    row.length = *wish->row;
    return lay(node, &row);
}

long extent_map(struct node *node, const struct mapping_wish *wish) {
    if (wish->row)
        return row_from(node, wish);
    u64 first = wish->offset / PAGE, count = wish->length / PAGE;
    struct extent *over = NULL, *next;
    for (struct extent *each = node->extents; each; each = next) {
        next = each->next;
        if (!overlaps(each, first, count))
            continue;
        if (!wish->in_use(each->at, each->at + each->count * PAGE))
            dissolve(node, each);
        else if (over)
            return -ENODEV;
        else
            over = each;
    }
    if (!over)
        return lay(node, wish);
    long at = address(over, wish);
    return at > 0 && !grow(node, over, first, count) ? -ENODEV : at;
}

/* Two extents of one, which ends before page `at` of the file. */
static bool cut(struct node *node, struct extent *extent, u64 at) {
    if (at <= extent->first || at >= extent->first + extent->count)
        return true;
    struct extent *rest = heap_alloc(sizeof *rest);
    if (!rest)
        return false;
    u64 before = at - extent->first;
    *rest = (struct extent){
        .first = at, .count = extent->count - before, .at = extent->at + before * PAGE};
    extent->count = before;
    link(node, rest);
    return true;
}

void extents_unmap(struct node *node, u64 first, u64 count) {
    struct extent *next;
    for (struct extent *each = node->extents; each; each = next) {
        next = each->next;
        if (!overlaps(each, first, count))
            continue;
        if (!cut(node, each, first) || !cut(node, each, first + count))
            return;
        next = node->extents; /* a part may lie in front now */
        if (overlaps(each, first, count)) {
            next = each->next;
            dissolve(node, each);
        }
    }
}
