/*
 * What the host's kernel knows of a process, and where the code works that takes its guest back.
 * The kernel's account is all that it believes: the guest could have changed any other.
 */
#ifndef LIMPET_REWIND_ACCOUNT_H
#define LIMPET_REWIND_ACCOUNT_H

#include "rewound.h"
#include "stub.h"

#define GUEST_END 0x1000000000UL /* ADDRESS_LIMIT */

enum { PLACES_MOST = 4096, RUNS_KEPT_MOST = 4096, SCANNED_MOST = 2048 };

/* struct procmap_query of uapi linux/fs.h */
struct mapped {
    u64 low, high, rights, page, offset, inode;
    u32 device[2];
};
struct places_query {
    u64 size, flags, at;
    struct mapped found;
    u32 no_name[2];
    u64 nowhere[2];
};

/* struct page_region and struct pm_scan_arg, there too */
struct written_run {
    u64 low, high, kinds;
};
struct pages_query {
    u64 size, flags, low, high, behind, runs, count, most, inverted, all, any, told;
};

/* Behind struct rewound, and then the pages. */
struct kept {
    struct rewound head;
    u64 place_count, run_count;
    struct mapped places[PLACES_MOST];
    struct written_run runs[RUNS_KEPT_MOST];
};

#define KEPT ((struct kept *)REWOUND_AT)
#define COPIES ALIGN_UP(REWOUND_AT + sizeof(struct kept), PAGE)

struct work {
    union {
        struct places_query places;
        struct pages_query pages;
    } query; /* first: where the filter lets the kernel be asked from */
    struct mapped in_a_row;
    struct written_run runs[SCANNED_MOST];
};

#define WORK ((struct work *)REWOUND_WORK)

/* Behind the word nothing may lead elsewhere: not to a function, nor to the compiler's own. */
#define BEHIND static inline __attribute__((always_inline))

BEHIND void copy_words(u64 to, u64 from, u64 size) {
    u64 words = size / sizeof(u64);
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
}

/* What is mapped next, `at` or behind it; what is kept itself, and where this works, is nobody's
 * to change.  False: nothing is. */
BEHIND bool next_place(u64 at) {
    enum { COVERING_OR_NEXT = 16 };
    struct places_query *query = &WORK->query.places;
    do {
        query->size = sizeof *query, query->flags = COVERING_OR_NEXT, query->at = at;
        query->no_name[0] = query->no_name[1] = 0, query->nowhere[0] = query->nowhere[1] = 0;
        if (HOST_STUB(rewind, ioctl, NR_IOCTL, PLACES_FD, PLACES_ASKED, (long)query, 0, 0, 0) < 0)
            return false;
        at = query->found.high;
    } while (query->found.low >= REWOUND_AT && at <= REWOUND_WORK + REWOUND_WORK_SIZE);
    return true;
}

/* Where pages are not looked at, there may be none that a guest writes, nor any that it can give
 * the right to: it could take that back before it is looked at. */
BEHIND bool escapes(const struct mapped *place) {
    return place->high > GUEST_END &&
           (place->rights & PROT_WRITE ||
            (place->low < guest_info.reserve_hi && place->high > guest_info.reserve_lo));
}

/* The kernel has pieces of what is one: how they came to be is nobody's matter. */
BEHIND bool goes_on(const struct mapped *one, const struct mapped *next) {
    return one->high == next->low && one->rights == next->rights && one->inode == next->inode &&
           (!one->inode || one->offset + (one->high - one->low) == next->offset);
}

/* Pages from `at` on that are not the file's and not zeros: how many runs, or less than 0. */
BEHIND long written_runs(u64 at) {
    enum { FILE = 4, PRESENT = 8, SWAPPED = 16, ZERO = 32 };
    struct pages_query *query = &WORK->query.pages;
    query->size = sizeof *query, query->flags = 0, query->most = 0;
    query->low = at, query->high = GUEST_END;
    query->runs = (u64)WORK->runs, query->count = SCANNED_MOST;
    query->inverted = query->all = FILE | ZERO, query->any = PRESENT | SWAPPED;
    query->told = PRESENT;
    return HOST_STUB(rewind, ioctl, NR_IOCTL, PAGES_FD, PAGES_ASKED, (long)query, 0, 0, 0);
}

#endif
