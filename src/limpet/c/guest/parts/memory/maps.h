/* The program's mappings: what lies where, with which rights, and what is behind it. */
#ifndef LIMPET_MAPS_H
#define LIMPET_MAPS_H

#include "libos.h"
#include "linux.h"
#include "parts/fd/fd.h"

enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum {
    MAP_SHARED = 1,
    MAP_PRIVATE = 2,
    MAP_SHARED_VALIDATE = 3,
    MAP_TYPE = 0xf,
    MAP_FIXED = 0x10,
    MAP_ANONYMOUS = 0x20,
    MAP_NORESERVE = 0x4000,
    MAP_HUGETLB = 0x40000,
    MAP_FIXED_NOREPLACE = 0x100000
};

/* Those of the program's image, until it changes them: each segment has its own. */
#define GIVEN_RIGHTS (PROT_READ | PROT_WRITE | PROT_EXEC)

/* TASK_SIZE: where Linux itself says that an address cannot be. */
#define ADDRESSES 0x7ffffffff000UL

struct mapping {
    struct mapping *next; /* ascending; none overlaps another */
    u64 low, high;
    u64 offset;        /* of `low` in the file */
    struct file *file; /* NULL: anonymous.  The mapping holds a reference */
    u8 rights;         /* PROT_* */
    bool shared;
    bool reserved; /* in the reserve: pages are placed there as they are touched */
    bool lent;     /* its pages are the file's own: they go back to it, not to the arena */
    u32 layers;    /* of a lent one: how often it is mapped more than once, there */
    bool given;    /* the program's image and stack, which are no pages of the arena */
    u64 home;      /* reserved, of a shared file: where what comes to `low` lies; else 0 */
};

/* maps.c */
struct mapping *mapping_from(u64 at);        /* the first that ends behind `at`, or NULL */
struct mapping *mapping_at(u64 at);          /* the one that `at` is in, or NULL */
bool mappings_cover(u64 low, u64 high);      /* no hole between */
bool mappings_between(u64 low, u64 high);    /* any */
bool mappings_use(u64 low, u64 high);        /* any of what lies there, whatever its address */
bool mappings_ready(u64 low, u64 high);      /* none lies across a border; false: no memory */
void mappings_join(u64 low, u64 high);       /* after a change between */
bool mapping_add(const struct mapping *new); /* a copy, one with its neighbours if they are alike */
bool mapping_add_lent(const struct mapping *new); /* where some of it may be mapped already */
/* Ready before.  Their pages are free again, or those of lent ones in the last layer. */
enum layers { LAST_LAYER, ALL_LAYERS };
void mappings_remove(u64 low, u64 high, enum layers layers);

/* What RLIMIT_AS and RLIMIT_DATA leave, for a program that has set one of them (else NULL): whether
 * so many bytes more are too many, data or not.  limits.c is where it leads. */
extern bool (*mappings_limit)(u64 more, bool data);

static inline bool counts_as_data(u64 rights, bool shared) {
    return rights & PROT_WRITE && !shared;
}

static inline bool beyond_limit(u64 more, bool data) {
    return mappings_limit && mappings_limit(more, data);
}

/* protect.c */
long rights_change(u64 low, u64 high, u8 rights); /* ready before; 0, or as mprotect */

/* private.c */
bool in_arena(u64 at, u64 count);
bool is_too_much(u64 size, long rights);
long place(u64 at, u64 count, bool fixed);

/* map.c */
long clear_for(u64 at, u64 size); /* a mapping exactly there: 0, or why it cannot be */
long map_lent(struct mapping made, u64 at, u64 length, bool fixed); /* shared: the file's own */
/* As mmap of an open file from its start. */
long map_file(struct file *file, u64 at, u64 length, long protection, long flags);
long fill_from_file(struct file *file, u64 at, u64 length, u64 offset);

static inline u64 pages_in(u64 length) {
    return length / PAGE + (length % PAGE != 0);
}

#endif
