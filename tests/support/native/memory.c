/* Pages, heap and the memory calls, over an arena that ends within a word of its bitmap. */
#include "native.h"
#include "core/string.c"
#include "core/pages.c"
#include "core/heap.c"
#include "parts/memory/maps.c"
#include "parts/memory/private.c"
#include "parts/memory/map.c"
#include "parts/memory/brk.c"
#include "parts/memory/remap.c"
#include "parts/memory/protect.c"

#define PAGES 200

static u8 arena[PAGES * PAGE] __attribute__((aligned(4096)));
const struct guest_info guest_info = {.arena_lo = (u64)arena,
                                      .arena_hi = (u64)arena + PAGES * PAGE};

const struct guest_memory *const guest_memory = NULL;
const struct placed_ops *const guest_placed = NULL;
void (*const host_execute)(struct execute *block) = NULL;

long execution_refused(void) {
    return -EACCES;
}

void mapping_refused(void) {
}

/* No file is open. */
struct file *fd_use(long fd) {
    (void)fd;
    return NULL;
}

bool readable(const struct file *file) {
    return file;
}

bool writable(const struct file *file) {
    return file;
}

void file_release(struct file *file) {
    (void)file;
}

void panic(const char *what) {
    (void)what;
    __builtin_trap();
}

/* As at the start of a guest: every page zero, nothing taken. */
EXPORT(u64, start, void) {
    memset(arena, 0, sizeof arena);
    memset(holes, 0, sizeof holes);
    taken = NULL;
    first = NULL;
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

/* Room for the list of mappings is there already, at the arena's end: where the rest ends. */
EXPORT(u64, list_ready, void) {
    void *lists[256];
    for (u64 i = 0; i < COUNT(lists); i++)
        lists[i] = heap_alloc(sizeof(struct mapping));
    for (u64 i = 0; i < COUNT(lists); i++)
        heap_free(lists[i]);
    u64 at = guest_info.arena_hi;
    while (pages_are(at - PAGE, 1, PAGES_LIBOS))
        at -= PAGE;
    return at;
}

EXPORT(u64, take_some_pages, u64 count) {
    return pages_take(count, PAGES_LIBOS);
}

EXPORT(long, map_pages, long at, long length, long flags) {
    return sys_mmap(at, length, 3, flags, -1, 0);
}

EXPORT(long, unmap, long at, long length) {
    return sys_munmap(at, length);
}

EXPORT(long, remap, long at, long old, long new, long flags, long target) {
    return sys_mremap(at, old, new, flags, target);
}
