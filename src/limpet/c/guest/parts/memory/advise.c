/* What a program says or asks of its pages: madvise, mincore, msync and locks, which nothing
 * here needs. */
#include "parts/memory/reserve.h"
#include "parts/snapshot/snapshot.h"

enum {
    MADV_DONTNEED = 4,
    MADV_FREE = 8,
    MADV_REMOVE = 9,
    MADV_LAST = 25,
    MADV_WIPEONFORK = 18,
    MADV_DONTNEED_LOCKED = 24
};

static bool valid(long advice) {
    return advice >= 0 && advice <= MADV_LAST && (advice < 5 || advice > 7);
}

/* What lies behind the end of its file is not there. */
static u64 end_of(const struct mapping *each, u64 high) {
    return guest_memory ? MIN(high, guest_memory->end(each)) : high;
}

/* Zeros where it has no file, and its file's bytes where it has one. */
static long forget(const struct mapping *each, u64 low, u64 high) {
    if (each->shared || each->given)
        return 0;
    if (each->reserved && !each->file) {
        guest_memory->release(low, high);
        return 0;
    }
    high = end_of(each, high);
    if (low >= high)
        return 0;
    set_rights(each, PROT_READ | PROT_WRITE);
    memset((void *)low, 0, high - low);
    long error = 0;
    if (each->file)
        error = fill_from_file(each->file, low, high - low, each->offset + (low - each->low));
    set_rights(each, each->rights);
    return error;
}

static long punch(const struct mapping *each, u64 low, u64 high) {
    if (!each->shared && !each->file)
        return -EINVAL;
    if (!each->shared || (each->file && !writable(each->file)))
        return -EACCES;
    high = end_of(each, high);
    if (low >= high)
        return 0;
    set_rights(each, PROT_READ | PROT_WRITE);
    memset((void *)low, 0, high - low);
    set_rights(each, each->rights);
    return 0;
}

static long advise(const struct mapping *each, u64 low, u64 high, long advice) {
    switch (advice) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
        return forget(each, low, high);
    case MADV_WIPEONFORK: /* by which random numbers are told from those of a copy: not here */
        if (guest_snapshot)
            return -EINVAL;
        __attribute__((fallthrough));
    case MADV_FREE:
        return each->file || each->shared ? -EINVAL : 0;
    case MADV_REMOVE:
        return punch(each, low, high);
    default:
        return 0;
    }
}

long sys_madvise(long address, long length, long advice) {
    u64 low = (u64)address, size = ALIGN_UP((u64)length, PAGE), end;
    if (!valid((s32)advice) || low % PAGE || (length && !size) ||
        __builtin_add_overflow(low, size, &end))
        return -EINVAL;
    if (!size)
        return 0;
    bool holes = !mappings_cover(low, end); /* are passed over, and said at the end */
    for (struct mapping *each = mapping_from(low); each && each->low < end; each = each->next) {
        long error = advise(each, MAX(low, each->low), MIN(end, each->high), (s32)advice);
        if (error)
            return error;
    }
    return holes ? -ENOMEM : 0;
}

long sys_mincore(long address, long length, long to) {
    u64 low = (u64)address;
    if (low % PAGE)
        return -EINVAL;
    if (low > ADDRESSES || (u64)length > ADDRESSES - low)
        return -ENOMEM;
    u64 count = pages_in((u64)length);
    if (!mappings_cover(low, low + count * PAGE))
        return -ENOMEM;
    memset((void *)to, 1, count);
    return 0;
}

enum { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4 };

/* Memory that is shared is the file itself: there is nothing to write back. */
long sys_msync(long address, long length, long flags) {
    u64 low = (u64)address, end;
    s32 how = (s32)flags;
    if (how & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || low % PAGE ||
        (how & MS_ASYNC && how & MS_SYNC))
        return -EINVAL;
    if (__builtin_add_overflow(low, ALIGN_UP((u64)length, PAGE), &end) || !mappings_cover(low, end))
        return -ENOMEM;
    return 0;
}

/* Linux's apply_vma_lock_flags. */
static long locked(u64 address, u64 length) {
    u64 low = ALIGN_DOWN(address, PAGE), end;
    if (__builtin_add_overflow(low, ALIGN_UP(length + address % PAGE, PAGE), &end))
        return -EINVAL;
    return mappings_cover(low, end) ? 0 : -ENOMEM;
}

long sys_mlock(long address, long length) {
    return locked((u64)address, (u64)length);
}

long sys_mlock2(long address, long length, long flags) {
    return (s32)flags & ~1 ? -EINVAL : locked((u64)address, (u64)length);
}

long sys_munlock(long address, long length) {
    return locked((u64)address, (u64)length);
}

enum { MCL_ONFAULT = 4, MCL_ALL = 7 };

long sys_mlockall(long flags) {
    s32 how = (s32)flags;
    return !how || how & ~MCL_ALL || how == MCL_ONFAULT ? -EINVAL : 0;
}

long sys_munlockall(void) {
    return 0;
}

long sys_membarrier(long command, long flags) {
    (void)flags;
    return command == 0 ? 0 : -EINVAL;
}
