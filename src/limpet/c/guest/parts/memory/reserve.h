/* Rights and reservations, which only some programs' plans have. */
#ifndef LIMPET_RESERVE_H
#define LIMPET_RESERVE_H

#include "parts/memory/maps.h"

struct fault;

long sys_mmap(long address, long length, long protection, long flags, long fd, long offset);

/* host.c */
bool host_place(u64 from, u64 to, u64 size);
void host_protect(u64 low, u64 high, u64 rights);
bool reserve_lacks(u64 low, u64 high);
extern u64 host_changes; /* how often rights in the arena changed */
extern void (*host_noted)(u64 low, u64 high, u64 rights); /* told of each change; NULL: nobody */

/* Pages of the arena at reserved addresses, in a row in both places. */
struct run {
    struct run *next; /* ascending */
    u64 low, high, frame;
    bool changed; /* its rights: they are read and write in the arena */
    bool lent;    /* by a shared file, to which they go back (aliases.c) */
};
const struct run *reserve_runs(void);
const struct run *run_at(u64 at); /* NULL: nothing is placed there */
bool run_add(const struct run *new);
void run_forget(u64 low);
void run_choose(const struct mapping *in, u64 address, u64 *low, u64 *high); /* what to place */
/* Pages for what is reserved there; false: it is not to be had. */
bool may_access(const struct mapping *in, u32 access); /* enum access */
bool reserve_bring(const struct mapping *in, u64 address, const struct regs *regs);

/* passed.c */
long reserve_pass(u64 at, u64 size, bool fills, long (*pass)(u64 at, u64 size));

/* aliases.c: through `guest_memory`, too */
long alias_map(const struct mapping *want, const struct mapping_wish *wish); /* its address */
bool alias_bring(const struct mapping *in, u64 address, const struct regs *regs);
/* A page that a file lends here and that is elsewhere is here again. */
bool alias_fault(const struct mapping *in, u64 address, const struct regs *regs);
/* The page of a file that is at `page` is in [from, page) as well. */
bool alias_comes_again(u64 from, u64 page);
bool aliases_return(u64 low, u64 high);  /* what is at home there, if any was away */
void aliases_release(u64 low, u64 high); /* what has been brought there */

/* stopped.c */
void reserve_gather(void);
void reserve_scatter(void);
void reserve_scatter_sealed(void);
void reserve_scatter_hidden(void);
void reserve_unseal(void);
void reserve_arrange(bool keeps);
void reserve_place_again(void);

/* hidden.c: the same way */
bool is_hidden(u64 at);
void pages_hide(u64 low, u64 high);
void pages_hide_again(void);
void pages_show(u64 at, u64 size);

/* ends.c: the same way */
u64 mapping_end(const struct mapping *each);
void ends_hide(u64 low, u64 high);         /* of mappings there */
void ends_cut(const void *node, u64 size); /* a file will be shorter */
void ends_lend(u64 at, u64 size, u64 rights, bool begins);
bool ends_fault(const struct mapping *in, struct fault *fault); /* of a file; mended */

/* given.c: through `guest_memory`, which only some programs have */
long given_change(struct mapping *each, u8 rights); /* 0, or why they cannot be that */
void given_protect(u64 low, u64 high, u64 rights);
void given_reset(u64 low, u64 high);
bool given_load(u64 low, u64 high, u64 rights);

static inline bool is_reserved(u64 at, u64 size) {
    return guest_memory && guest_memory->in_reserve(at, size) != 0;
}

/* As the program may use it, or as the library OS has to meanwhile. */
static inline void set_rights(const struct mapping *each, u64 rights) {
    if (guest_memory)
        guest_memory->protect(each, rights);
}

#endif
