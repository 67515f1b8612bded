/* The program's memory: every page of it comes from the arena and goes back there. */
#include "libos.h"
#include "linux.h"
#include "parts/fd/fd.h"

enum {
    PROT_EXEC = 4,
    MAP_SHARED = 1,
    MAP_FIXED = 0x10,
    MAP_ANONYMOUS = 0x20,
    MAP_FIXED_NOREPLACE = 0x100000
};
enum { PROT_WRITE = 2, MAP_TYPE = 0xf, MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2 };
enum { MADV_DONTNEED = 4, MADV_FREE = 8 };

#define MOST_MEMORY (1UL << 36) /* more could no --memory give */

static u64 pages_in(u64 length) {
    return length / PAGE + (length % PAGE != 0);
}

static bool absurd(u64 length) {
    return length > guest_info.arena_hi - guest_info.arena_lo;
}

/* The heap of brk: contiguous from the arena's first page. */
long sys_brk(long wanted) {
    static u64 current_end;
    u64 start = pages_first(), end = (u64)wanted;
    if (!current_end)
        current_end = start;
    u64 have = ALIGN_UP(current_end, PAGE),
        want = ALIGN_UP(MIN(end, guest_info.arena_hi + 1), PAGE);
    if (end < start)
        return (long)current_end;
    if (want > have && !pages_take_at(have, (want - have) / PAGE, PAGES_PROGRAM)) {
        pages_missing();
        return (long)current_end;
    }
    if (want < have)
        pages_give(want, (have - want) / PAGE, PAGES_PROGRAM);
    if (end < current_end) /* what is left of the last page must read as zero again */
        memset((void *)end, 0, MIN(want, current_end) - end);
    current_end = end;
    return (long)current_end;
}

/* MAP_FIXED replaces the program's own pages and takes free ones, but never ours. */
static u64 take_fixed(u64 at, u64 count) {
    u64 taken = 0;
    for (u64 i = 0; i < count; i++)
        if (pages_are(at + i * PAGE, 1, PAGES_LIBOS))
            return 0;
    pages_give(at, count, PAGES_PROGRAM);
    taken = pages_take_at(at, count, PAGES_PROGRAM) ? at : 0;
    return taken;
}

static bool in_arena(u64 at, u64 count) {
    return at >= guest_info.arena_lo && at < guest_info.arena_hi &&
           count <= (guest_info.arena_hi - at) / PAGE;
}

static long place(u64 at, u64 count, u64 flags) {
    u64 got;
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (at % PAGE)
            return -EINVAL;
        if (!in_arena(at, count))
            return -ENOMEM;
        if (flags & MAP_FIXED_NOREPLACE) {
            if (!pages_take_at(at, count, PAGES_PROGRAM))
                return -EEXIST;
            return (long)at;
        }
        got = take_fixed(at, count);
        return got ? (long)got : -ENOMEM;
    }
    if (at && at % PAGE == 0 && in_arena(at, count) && pages_take_at(at, count, PAGES_PROGRAM))
        return (long)at;
    got = pages_take(count, PAGES_PROGRAM);
    return got ? (long)got : -ENOMEM;
}

static long fill(u64 at, u64 length, long fd, u64 offset) {
    for (u64 done = 0; done < length;) {
        long got = fd_pread(fd, (void *)(at + done), length - done, offset + done);
        if (got < 0)
            return got;
        if (got == 0)
            break; /* beyond the end of the file: zeros, where Linux has SIGBUS */
        done += (u64)got;
    }
    return 0;
}

long sys_mmap(long address, long length, long protection, long flags, long fd, long offset) {
    if (!length || (flags & MAP_TYPE) == 0)
        return -EINVAL;
    if (absurd((u64)length)) {
        if (protection & PROT_WRITE && (u64)length < MOST_MEMORY)
            pages_missing();
        return -ENOMEM;
    }
    if (protection & PROT_EXEC)
        return -EACCES;
    bool anonymous = flags & MAP_ANONYMOUS;
    if (!anonymous) {
        if (offset % (long)PAGE)
            return -EINVAL;
        if ((flags & MAP_TYPE) != 2 && protection & PROT_WRITE)
            return -ENODEV;
        long ok = fd_mappable(fd);
        if (ok < 0)
            return ok;
    }
    u64 count = pages_in((u64)length);
    long at = place((u64)address, count, (u64)flags);
    if (at < 0 || anonymous)
        return at;
    long error = fill((u64)at, (u64)length, fd, (u64)offset);
    if (error) {
        pages_give((u64)at, count, PAGES_PROGRAM);
        return error;
    }
    return at;
}

long sys_munmap(long address, long length) {
    if (address % (long)PAGE || !length || (u64)address + (u64)length < (u64)address)
        return -EINVAL;
    pages_give((u64)address, pages_in((u64)length), PAGES_PROGRAM);
    return 0;
}

static long move(u64 old, u64 old_count, u64 new_count) {
    u64 at = pages_take(new_count, PAGES_PROGRAM);
    if (!at)
        return -ENOMEM;
    memcpy((void *)at, (void *)old, MIN(old_count, new_count) * PAGE);
    pages_give(old, old_count, PAGES_PROGRAM);
    return (long)at;
}

long sys_mremap(long old, long old_length, long new_length, long flags, long target) {
    u64 at = (u64)old, have = pages_in((u64)old_length), want = pages_in((u64)new_length);
    if (at % PAGE || !new_length || flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED) || !old_length)
        return -EINVAL;
    if (absurd((u64)new_length) || absurd((u64)old_length))
        return -ENOMEM;
    if (!pages_are(at, have, PAGES_PROGRAM))
        return -EFAULT;
    if (flags & MREMAP_FIXED) {
        if (!(flags & MREMAP_MAYMOVE) || target % (long)PAGE)
            return -EINVAL;
        if ((u64)target < at + have * PAGE && at < (u64)target + want * PAGE)
            return -EINVAL;
        if (!in_arena((u64)target, want) || !take_fixed((u64)target, want))
            return -ENOMEM;
        memcpy((void *)target, (void *)at, MIN(have, want) * PAGE);
        pages_give(at, have, PAGES_PROGRAM);
        return target;
    }
    if (want <= have) {
        pages_give(at + want * PAGE, have - want, PAGES_PROGRAM);
        return old;
    }
    if (pages_take_at(at + have * PAGE, want - have, PAGES_PROGRAM))
        return old;
    return flags & MREMAP_MAYMOVE ? move(at, have, want) : -ENOMEM;
}

long sys_mprotect(long address, long length, long protection) {
    (void)length;
    if (address % (long)PAGE)
        return -EINVAL;
    bool image = (u64)address >= guest_info.image_lo && (u64)address < guest_info.image_hi;
    return protection & PROT_EXEC && !image ? -EACCES : 0;
}

long sys_madvise(long address, long length, long advice) {
    if (address % (long)PAGE)
        return -EINVAL;
    u64 count = pages_in((u64)length);
    if (advice == MADV_DONTNEED && pages_are((u64)address, count, PAGES_PROGRAM))
        memset((void *)address, 0, count * PAGE);
    return 0;
}

long sys_mincore(long address, long length, long to) {
    if (address % (long)PAGE)
        return -EINVAL;
    u64 count = pages_in((u64)length);
    if (!pages_are((u64)address, count, PAGES_PROGRAM))
        return -ENOMEM;
    memset((void *)to, 1, count);
    return 0;
}

long sys_msync(long address, long length, long flags) {
    (void)length, (void)flags;
    return address % (long)PAGE ? -EINVAL : 0;
}

long sys_mlock(long address, long length) {
    (void)address, (void)length;
    return 0;
}

long sys_mlock2(long address, long length, long flags) {
    (void)address, (void)length, (void)flags;
    return 0;
}

long sys_munlock(long address, long length) {
    (void)address, (void)length;
    return 0;
}

long sys_mlockall(long flags) {
    (void)flags;
    return 0;
}

long sys_munlockall(void) {
    return 0;
}

long sys_membarrier(long command, long flags) {
    (void)flags;
    return command == 0 ? 0 : -EINVAL;
}
