/*
 * What the host's kernel knows of a process, and where the code works that takes its guest back.
 * The kernel's account is all that it believes: the guest could have changed any other.
 */
#ifndef LIMPET_REWIND_ACCOUNT_H
#define LIMPET_REWIND_ACCOUNT_H

#include "rewound.h"
#include "stub.h"

#define GUEST_END 0x1000000000UL /* ADDRESS_LIMIT */

enum { PLACES_MOST = 4096, RUNS_KEPT_MOST = 4096, SCANNED_MOST = 128, RUSAGE_SELF = 0 };

/* struct page_region and struct pm_scan_arg of uapi linux/fs.h; of a run that is kept, `kinds` says
 * whether it could be written */
struct written_run {
    u64 low, high, kinds;
};
struct pages_query {
    u64 size, flags, low, high, behind, runs, count, most, inverted, all, any, told;
};

/* struct rusage of uapi linux/resource.h */
struct spent {
    u64 times[4], sizes[4], minor, major, more[6];
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
        struct spent spent;
    } query; /* first: where the filter lets the kernel be asked from */
    struct mapped in_a_row;
    struct written_run runs[SCANNED_MOST];
};

#define WORK ((struct work *)REWOUND_WORK)
#define NOTED (*(const volatile u64 *)NOTED_AT)

/* Behind the word nothing may lead elsewhere: not to a function, nor to the compiler's own. */
#define BEHIND static inline __attribute__((always_inline))

BEHIND void copy_words(u64 to, u64 from, u64 size) {
    u64 words = size / sizeof(u64);
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
}

/*
 * Places are looked at three times: all from the arena on, and what is below it and can be written,
 * or be run.  What is left is the program's, and can only be read.  A guest can give that other
 * rights, by which it is found then, but take none away: the filter lets none of the program be
 * put out of reach.
 */
enum { LOOKS = 3 };

BEHIND u64 looks_for(u64 look) {
    return look == 0 ? CAN_BE_WRITTEN : look == 1 ? CAN_BE_RUN : 0;
}

BEHIND u64 looks_from(u64 look) {
    return look == 2 ? guest_info.arena_lo : 0;
}

BEHIND u64 looks_to(u64 look) {
    return look == 2 ? ~0UL : guest_info.arena_lo;
}

/* What is mapped next, `at` or behind it, that a look is for; what is kept itself, and where this
 * works, is nobody's to change.  False: nothing is. */
BEHIND bool next_place(u64 look, u64 at) {
    struct places_query *query = &WORK->query.places;
    do {
        query->size = sizeof *query, query->flags = COVERING_OR_NEXT | looks_for(look);
        query->at = at;
        query->no_name[0] = query->no_name[1] = 0, query->nowhere[0] = query->nowhere[1] = 0;
        if (HOST_STUB(rewind, ioctl, NR_IOCTL, PLACES_FD, PLACES_ASKED, (long)query, 0, 0, 0) < 0)
            return false;
        at = query->found.high;
    } while (query->found.low >= REWOUND_AT && at <= REWOUND_WORK + REWOUND_WORK_SIZE);
    return query->found.low < looks_to(look);
}

struct watched {
    u64 next, low, high;
};

/* Where pages are looked at, ascending: the program's data, also what it has sealed, that of the
 * library OS, and all from the arena on.  Data that is near each other is one: to ask costs as much
 * as to look at some pages in between.  False: there is no more. */
BEHIND bool next_watched(struct watched *on) {
    enum { NEAR = 384 * PAGE };
    const struct span *data = (const struct span *)guest_info.data;
    u64 count = guest_info.data_count, i = on->next;
    if (i > count + 1)
        return false;
    if (i < count) {
        on->low = ALIGN_DOWN(data[i].low, PAGE);
        while (i + 1 < count && data[i + 1].low - data[i].high < NEAR)
            i++;
        on->high = ALIGN_UP(data[i].high, PAGE);
    } else {
        on->low = i == count ? (u64)&boot_info : guest_info.arena_lo;
        on->high = i == count ? (u64)state_end : GUEST_END;
    }
    on->next = i + 1;
    return true;
}

/* Of places that come ascending. */
BEHIND bool is_watched(const struct mapped *place, struct watched *on) {
    while (place->low >= on->high && next_watched(on))
        ;
    return place->low >= on->low && place->high <= on->high;
}

/* Where pages are not looked at, there may be none that a guest writes, nor any that it can give
 * the right to: it could take that back before it is looked at. */
BEHIND bool escapes(const struct mapped *place, struct watched *on) {
    return (place->rights & PROT_WRITE && !is_watched(place, on)) ||
           (place->low < guest_info.reserve_hi && place->high > guest_info.reserve_lo);
}

/* The kernel has pieces of what is one: how they came to be is nobody's matter. */
BEHIND bool goes_on(const struct mapped *one, const struct mapped *next) {
    return one->high == next->low && one->rights == next->rights && one->inode == next->inode &&
           (!one->inode || one->offset + (one->high - one->low) == next->offset);
}

/* How many pages have come into this process since it was started, or have become other ones: none
 * does that without a fault (features/rewind/accounts.c), and the kernel counts those.  0: it does
 * not say. */
BEHIND u64 faults_until_now(void) {
    const struct spent *spent = &WORK->query.spent;
    if (HOST_STUB(rewind, getrusage, NR_GETRUSAGE, RUSAGE_SELF, (long)spent, 0, 0, 0, 0) != 0)
        return 0;
    return spent->minor + spent->major;
}

/* Pages of [at, high) that are not the file's and not zeros: how many runs, or less than 0. */
BEHIND long written_runs(u64 at, u64 high) {
    enum { FILE = 4, PRESENT = 8, SWAPPED = 16, ZERO = 32 };
    struct pages_query *query = &WORK->query.pages;
    query->size = sizeof *query, query->flags = 0, query->most = 0;
    query->low = at, query->high = high;
    query->runs = (u64)WORK->runs, query->count = SCANNED_MOST;
    query->inverted = query->all = FILE | ZERO, query->any = PRESENT | SWAPPED;
    query->told = PRESENT;
    return HOST_STUB(rewind, ioctl, NR_IOCTL, PAGES_FD, PAGES_ASKED, (long)query, 0, 0, 0);
}

#endif
