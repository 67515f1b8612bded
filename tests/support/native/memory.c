/* Pages, heap and the memory calls, over an arena that ends within a word of its bitmap. */
#include "native.h"
#include "core/string.c"
#include "core/pages.c"
#include "core/heap.c"
#include "parts/memory/memory.c"

#define PAGES 200

static u8 arena[PAGES * PAGE] __attribute__((aligned(4096)));
const struct guest_info guest_info = {.arena_lo = (u64)arena,
                                      .arena_hi = (u64)arena + PAGES * PAGE};

/* No file is open. */
long fd_mappable(long fd) {
    (void)fd;
    return -EBADF;
}

long fd_pread(long fd, void *to, u64 size, u64 offset) {
    (void)fd, (void)to, (void)size, (void)offset;
    return -EBADF;
}

/* As at the start of a guest: every page zero, nothing taken. */
EXPORT(u64, start, void) {
    memset(arena, 0, sizeof arena);
    memset(holes, 0, sizeof holes);
    taken = NULL;
    return pages_first();
}

EXPORT(u64, end, void) {
    return guest_info.arena_hi;
}

EXPORT(u64, free_count, void) {
    return pages_free_count();
}

EXPORT(void *, alloc, u64 size) {
    return heap_alloc(size);
}

EXPORT(void, release, void *p) {
    heap_free(p);
}

EXPORT(u64, take_pages, u64 count) {
    return pages_take(count, PAGES_LIBOS);
}

EXPORT(long, map, long at, long length, long flags) {
    return sys_mmap(at, length, 3, flags, -1, 0);
}

EXPORT(long, unmap, long at, long length) {
    return sys_munmap(at, length);
}

EXPORT(long, remap, long at, long old, long new, long flags, long target) {
    return sys_mremap(at, old, new, flags, target);
}
