/* mremap: a mapping grows, shrinks or moves. */
#include "parts/memory/reserve.h"

enum { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2, MREMAP_DONTUNMAP = 4 };

struct remap {
    u64 at, have, want, flags, target; /* bytes, whole pages */
};

static long check_remap(const struct remap *remap, u64 old_length) {
    bool may_move = remap->flags & MREMAP_MAYMOVE;
    if (remap->flags & ~7UL || (remap->flags & ~1UL && !may_move))
        return -EINVAL;
    if (remap->flags & MREMAP_DONTUNMAP && remap->have != remap->want)
        return -EINVAL;
    if (remap->at % PAGE || !remap->want || (old_length && !remap->have))
        return -EINVAL;
    if (!mapping_at(remap->at))
        return -EFAULT;
    if (!(remap->flags & MREMAP_FIXED))
        return 0;
    if (remap->target % PAGE || remap->want > ADDRESSES || remap->target > ADDRESSES - remap->want)
        return -EINVAL;
    bool overlap =
        remap->at + remap->have > remap->target && remap->target + remap->want > remap->at;
    return overlap ? -EINVAL : 0;
}

/* Linux's vma_to_resize: what is there is one mapping, and one that can be another size. */
static long may_resize(const struct remap *remap) {
    const struct mapping *old = mapping_at(remap->at);
    if (!old)
        return -EFAULT;
    if (!remap->have && !old->shared)
        return -EINVAL;
    if (remap->have > old->high - remap->at)
        return -EFAULT;
    if (old->given)
        return -ENOMEM;
    if (remap->want > remap->have &&
        beyond_limit(remap->want - remap->have, counts_as_data(old->rights, old->shared)))
        return -ENOMEM;
    u64 offset = old->offset + (remap->at - old->low);
    return offset / PAGE + remap->want / PAGE > ~0UL / PAGE ? -EINVAL : 0;
}

/* Pages that a private mapping is longer by. */
static long fill_more(const struct mapping *made, u64 at) {
    if (!made->file || at >= made->high)
        return 0;
    return fill_from_file(made->file, at, made->high - at, made->offset + (at - made->low));
}

/* The file's pages in a row become more. */
static bool grow_lent(const struct mapping *rest, const struct mapping *old) {
    const struct mapping_wish wish = {.offset = old->offset,
                                      .length = rest->high - old->low,
                                      .at = old->low,
                                      .shared = true,
                                      .fixed = true,
                                      .in_use = mappings_use};
    if (mappings_between(rest->low, rest->high) || old->file->ops->map(old->file, &wish) < 0)
        return false;
    return mapping_add(rest);
}

static bool grow_in_place(struct mapping *old, u64 more) {
    struct mapping rest = *old;
    rest.low = old->high, rest.high = old->high + more;
    rest.offset = old->offset + (old->high - old->low);
    if (old->lent)
        return grow_lent(&rest, old);
    if (old->reserved)
        return !old->file && is_reserved(rest.low, more) &&
               !mappings_between(rest.low, rest.high) && mapping_add(&rest);
    if (!pages_take_at(rest.low, more / PAGE, PAGES_PROGRAM))
        return false;
    if (fill_more(&rest, rest.low) == 0 && mapping_add(&rest))
        return true;
    pages_give(rest.low, more / PAGE, PAGES_PROGRAM);
    return false;
}

static u64 new_pages(const struct remap *remap) {
    u64 count = remap->want / PAGE;
    if (!(remap->flags & MREMAP_FIXED))
        return pages_take(count, PAGES_PROGRAM);
    return pages_take_at(remap->target, count, PAGES_PROGRAM) ? remap->target : 0;
}

/* Away from its old place, with what is in it.  The old mapping goes before the new one comes:
 * beside each other they would become one. */
static long move(const struct remap *remap) {
    const struct mapping *old = mapping_at(remap->at);
    u64 end = remap->at + remap->have, kept = MIN(remap->have, remap->want);
    struct mapping made = *old;
    made.offset += remap->at - old->low;
    made.low = new_pages(remap);
    if (!made.low)
        return -ENOMEM;
    made.high = made.low + remap->want;
    u64 there = guest_memory ? MAX(guest_memory->end(old), remap->at) - remap->at : kept;
    set_rights(old, PROT_READ | PROT_WRITE);
    memcpy((void *)made.low, (void *)remap->at, MIN(kept, there));
    set_rights(old, old->rights);
    long error = fill_more(&made, made.low + kept);
    if (!error && !mappings_ready(remap->at, end))
        error = -ENOMEM;
    if (made.file)
        made.file->references++; /* it stays open meanwhile */
    if (!error && remap->flags & MREMAP_DONTUNMAP)
        memset((void *)remap->at, 0, remap->have);
    else if (!error)
        mappings_remove(remap->at, end, ALL_LAYERS);
    if (!error && !mapping_add(&made))
        error = -ENOMEM;
    if (made.file)
        file_release(made.file);
    if (error)
        pages_give(made.low, remap->want / PAGE, PAGES_PROGRAM);
    else if (made.rights != (PROT_READ | PROT_WRITE))
        set_rights(&made, made.rights);
    return error ? error : (long)made.low;
}

/* Reserved addresses change, and what has been placed there moves along. */
static long move_reserved(const struct remap *remap) {
    const struct mapping *old = mapping_at(remap->at);
    bool fixed = remap->flags & MREMAP_FIXED;
    struct mapping made = *old;
    made.low = fixed ? remap->target : guest_memory->find(0, remap->want);
    made.high = made.low + remap->want;
    if (old->file || !is_reserved(made.low, remap->want) ||
        !mappings_ready(remap->at, remap->at + remap->have) ||
        !guest_memory->move(remap->at, MIN(remap->have, remap->want), made.low))
        return -ENOMEM;
    if (!(remap->flags & MREMAP_DONTUNMAP))
        mappings_remove(remap->at, remap->at + remap->have, ALL_LAYERS);
    return mapping_add(&made) ? (long)made.low : -ENOMEM;
}

/* Of a file's own pages the mapping goes, and comes elsewhere. */
static long move_lent(const struct remap *remap) {
    const struct mapping *old = mapping_at(remap->at);
    u64 end = remap->at + remap->have;
    struct mapping made = *old;
    made.offset += remap->at - old->low, made.lent = made.reserved = false, made.home = 0;
    bool fixed = remap->flags & MREMAP_FIXED;
    if (old->layers || !mappings_ready(remap->at, end))
        return -ENOMEM;
    if (!remap->have)
        return map_lent(made, fixed ? remap->target : 0, remap->want, fixed);
    made.file->references++; /* it stays open meanwhile */
    mappings_remove(remap->at, end, ALL_LAYERS);
    long got = map_lent(made, fixed ? remap->target : 0, remap->want, fixed);
    if (got < 0)
        map_lent(made, remap->at, remap->have, true); /* as it was */
    file_release(made.file);
    return got;
}

static long shrink(const struct remap *remap) {
    u64 from = remap->at + remap->want, to = remap->at + remap->have;
    if (from > ADDRESSES || remap->have - remap->want > ADDRESSES - from)
        return -EINVAL;
    if (from == to)
        return (long)remap->at;
    if (!mappings_ready(from, to))
        return -ENOMEM;
    mappings_remove(from, to, ALL_LAYERS);
    return (long)remap->at;
}

static long to_target(struct remap *remap) {
    long error = clear_for(remap->target, remap->want);
    if (error)
        return error;
    if (remap->have > remap->want) {
        if (shrink(remap) < 0)
            return -ENOMEM;
        remap->have = remap->want;
    }
    return 0;
}

long sys_mremap(long old, long old_length, long new_length, long flags, long target) {
    struct remap remap = {(u64)old, ALIGN_UP((u64)old_length, PAGE),
                          ALIGN_UP((u64)new_length, PAGE), (u64)flags, (u64)target};
    long error = check_remap(&remap, (u64)old_length);
    bool leaves = remap.flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
    if (!error && remap.flags & MREMAP_FIXED)
        error = to_target(&remap);
    if (error)
        return error;
    if (!leaves && remap.have >= remap.want)
        return shrink(&remap);
    error = may_resize(&remap);
    if (error)
        return error;
    struct mapping *there = mapping_at(remap.at);
    if (!there->reserved && remap.want > guest_info.arena_hi - guest_info.arena_lo)
        return -ENOMEM;
    if (remap.flags & MREMAP_DONTUNMAP && there->file)
        return -EINVAL;
    bool at_end = remap.at + remap.have == there->high;
    if (!leaves && at_end && grow_in_place(there, remap.want - remap.have))
        return old;
    if (!(remap.flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    if (there->lent || there->home)
        return move_lent(&remap);
    return there->reserved ? move_reserved(&remap) : move(&remap);
}
