/*
 * Small objects of the library OS: free lists by size class, cut from whole pages.
 * Every page of a class starts with a header; a larger object is pages of its own.
 */
#include "libos.h"

#define HEADER 64UL

struct page_head {
    u64 size;  /* of an object, or of all the pages when it is one object */
    u64 pages; /* 0 for a page of small objects */
};

struct hole {
    struct hole *next;
};

static const u32 classes[] = {32, 64, 96, 128, 192, 256, 512, 1024, 2016};
static struct hole *holes[COUNT(classes)];

/* What most objects are of, by their size in pieces of 32 bytes. */
static const u8 class_of_few[] = {0, 0, 1, 2, 3, 4, 4, 5, 5};
#define FEW_MOST 256

static u64 class_of(u64 size) {
    u64 each = 0;
    if (size <= FEW_MOST)
        return class_of_few[(size + 31) / 32];
    while (each < COUNT(classes) && classes[each] < size)
        each++;
    return each;
}

static bool refill(u64 kind) {
    u64 page = pages_take(1, PAGES_LIBOS);
    if (!page)
        return false;
    *(struct page_head *)page = (struct page_head){.size = classes[kind]};
    for (u64 at = page + HEADER; at + classes[kind] <= page + PAGE; at += classes[kind]) {
        struct hole *hole = (struct hole *)at;
        hole->next = holes[kind];
        holes[kind] = hole;
    }
    return true;
}

void *heap_alloc(u64 size) {
    u64 kind = class_of(size);
    if (kind == COUNT(classes)) {
        u64 pages = (size + HEADER + PAGE - 1) / PAGE;
        u64 at =
            size > guest_info.arena_hi - guest_info.arena_lo ? 0 : pages_take(pages, PAGES_LIBOS);
        if (!at)
            return NULL;
        *(struct page_head *)at = (struct page_head){.size = size, .pages = pages};
        return (void *)(at + HEADER);
    }
    if (!holes[kind] && !refill(kind))
        return NULL;
    struct hole *hole = holes[kind];
    holes[kind] = hole->next;
    return memset(hole, 0, classes[kind]);
}

void heap_free(void *p) {
    if (!p)
        return;
    struct page_head *head = (struct page_head *)ALIGN_DOWN((u64)p, PAGE);
    if (head->pages) {
        pages_give((u64)head, head->pages, PAGES_LIBOS);
        return;
    }
    u64 kind = class_of(head->size);
    struct hole *hole = p;
    hole->next = holes[kind];
    holes[kind] = hole;
}
