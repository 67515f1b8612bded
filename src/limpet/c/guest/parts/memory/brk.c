/* The heap of brk: contiguous from the arena's first page. */
#include "parts/memory/maps.h"

static u64 current_end;

static bool grow(u64 have, u64 want) {
    const struct mapping more = {.low = have, .high = want, .rights = PROT_READ | PROT_WRITE};
    if (beyond_limit(want - have, true))
        return false;
    if (!pages_take_at(have, (want - have) / PAGE, PAGES_PROGRAM)) {
        pages_missing();
        return false;
    }
    if (mapping_add(&more))
        return true;
    pages_give(have, (want - have) / PAGE, PAGES_PROGRAM);
    return false;
}

long sys_brk(long wanted) {
    u64 start = pages_first(), end = (u64)wanted;
    if (!current_end)
        current_end = start;
    u64 have = ALIGN_UP(current_end, PAGE),
        want = ALIGN_UP(MIN(end, guest_info.arena_hi + 1), PAGE);
    if (end < start || (want > have && !grow(have, want)))
        return (long)current_end;
    if (want < have) {
        if (!mappings_ready(want, have))
            return (long)current_end;
        mappings_remove(want, have, ALL_LAYERS);
    }
    if (end < current_end) /* what is left of the last page must read as zero again */
        memset((void *)end, 0, MIN(want, current_end) - end);
    current_end = end;
    return (long)current_end;
}
