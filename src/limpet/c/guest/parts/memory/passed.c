/* Memory of the program's that a hypercall fills or reads. */
#include "core/core.h"
#include "parts/memory/reserve.h"

/* Where a virtual machine's monitor finds memory of the program's: it knows pages of the arena by
 * their own addresses, and no rights.  Only so many of `size` bytes may be in a row there. */
static u64 view(u64 at, u64 *size, bool fills) {
    const struct mapping *in = mapping_at(at);
    if (!in)
        return is_hidden(at) ? 0 : at;
    if (!may_access(in, fills ? ACCESS_WRITE : ACCESS_READ))
        return 0;
    if (at >= mapping_end(in) && in->file)
        return 0;
    *size = MIN(*size, mapping_end(in) - at);
    if (!in->reserved)
        return at;
    const struct run *run = run_at(at);
    if (!run && !reserve_bring(in, at, NULL))
        return 0;
    run = run_at(at);
    *size = MIN(*size, run->high - at);
    return run->frame + (at - run->low);
}

/* A hypercall that fills memory, or reads it.  What is not in a row goes by a copy, as far as the
 * program may. */
long reserve_pass(u64 at, u64 size, bool fills, long (*pass)(u64 at, u64 size)) {
    u64 row = size, there = view(at, &row, fills), all = row;
    if (!there)
        return -EFAULT;
    for (u64 more; all < size; all += more) {
        more = size - all;
        if (!view(at + all, &more, fills))
            break;
    }
    void *copy = all == row ? NULL : heap_alloc(all);
    if (!copy)
        return pass(there, row);
    if (!fills)
        memcpy(copy, (void *)at, all);
    long result = pass((u64)copy, all);
    if (fills && result > 0)
        memcpy((void *)at, copy, (u64)result);
    heap_free(copy);
    return result;
}
