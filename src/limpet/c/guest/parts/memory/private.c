/* mmap of a program that only ever asks for memory, and where that memory comes from. */
#include "parts/memory/reserve.h"

#define MOST_MEMORY (1UL << 36) /* more could no --memory give */

bool in_arena(u64 at, u64 count) {
    return at >= guest_info.arena_lo && at < guest_info.arena_hi &&
           count <= (guest_info.arena_hi - at) / PAGE;
}

bool is_too_much(u64 size, long rights) {
    bool too_much = size > guest_info.arena_hi - guest_info.arena_lo;
    if (too_much && rights & (PROT_READ | PROT_WRITE) && size < MOST_MEMORY)
        pages_missing();
    return too_much;
}

/* Exactly there, where nothing is any more; or there if it can be, or anywhere. */
long place(u64 at, u64 count, bool fixed) {
    u64 hint = ALIGN_DOWN(at, PAGE);
    if (hint && in_arena(hint, count) && pages_take_at(hint, count, PAGES_PROGRAM))
        return (long)hint;
    u64 got = fixed ? 0 : pages_take(count, PAGES_PROGRAM);
    return got ? (long)got : -ENOMEM;
}

/* With MAP_PRIVATE and MAP_ANONYMOUS as its flags. */
long sys_mmap_private(long address, long length, long protection, long flags, long fd,
                      long offset) {
    long got = guest_memory ? guest_memory->map(address, length, protection, flags, fd, offset) : 0;
    if (got)
        return got;
    u64 size = ALIGN_UP((u64)length, PAGE);
    if (offset % (long)PAGE || !length)
        return -EINVAL;
    if (!size || is_too_much(size, protection))
        return -ENOMEM;
    if (protection & PROT_EXEC)
        return -EACCES;
    if (beyond_limit(size, protection & PROT_WRITE))
        return -ENOMEM;
    long at = place((u64)address, size / PAGE, false);
    const struct mapping made = {.low = (u64)at,
                                 .high = (u64)at + size,
                                 .rights = (u8)(protection & (PROT_READ | PROT_WRITE))};
    if (at < 0 || mapping_add(&made))
        return at;
    pages_give((u64)at, size / PAGE, PAGES_PROGRAM);
    return -ENOMEM;
}
