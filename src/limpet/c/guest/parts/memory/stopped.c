/*
 * Memory around the moment of a snapshot: nothing is elsewhere then, and everything after it.
 *
 * Where a guest is taken back to its moment in place, rights in the arena stay as the moment had
 * them, so that whoever changes none pays for none.  Whoever does has them arranged again first.
 */
#include "parts/memory/reserve.h"

enum { NOTED_MOST = 64 };

static struct rights {
    u64 low, high, rights;
} noted[NOTED_MOST] LARGE; /* in the arena, at the moment */
static u64 noted_count, kept_changes;
static bool others; /* some has other rights than a start that has those of the moment */
static bool moved;  /* what was elsewhere is in the arena, as it can be read and written */

static void note(u64 low, u64 high, u64 rights) {
    if (noted_count < NOTED_MOST)
        noted[noted_count] = (struct rights){low, high, rights};
    noted_count++;
}

/* What a bundle that has rights of the moment has so from the start. */
static bool is_sealed(const struct mapping *each) {
    return !each->reserved && each->rights == PROT_READ;
}

/* All else that a start maps can be read and written. */
static bool is_other(const struct mapping *each, bool sealed) {
    return each->rights != (PROT_READ | PROT_WRITE) && each->rights != GIVEN_RIGHTS &&
           !(sealed && is_sealed(each));
}

void reserve_gather(void) {
    aliases_return(0, ~0UL);
    moved = reserve_runs() != NULL;
    others = false;
    for (const struct mapping *each = mapping_from(0); each; each = each->next)
        others |= is_other(each, true);
    for (const struct run *each = reserve_runs(); each; each = each->next) {
        if (each->changed)
            host_protect(each->low, each->high, PROT_READ | PROT_WRITE);
        if (!host_place(each->low, each->frame, each->high - each->low))
            panic("the host does not move memory back");
    }
}

static void place_runs(void) {
    for (const struct run *each = reserve_runs(); each; each = each->next)
        if (!host_place(each->frame, each->low, each->high - each->low))
            panic("the host does not move memory");
}

enum { GIVEN = 1, RESERVED = 2, IN_ARENA = 4 };

static int kind_of(const struct mapping *each) {
    return each->given ? GIVEN : each->reserved ? RESERVED : IN_ARENA;
}

static void give_rights(int kinds, bool sealed) {
    for (const struct mapping *each = mapping_from(0); each; each = each->next)
        if (kinds & kind_of(each) && is_other(each, sealed))
            guest_memory->protect(each, each->rights);
}

static void scatter(bool sealed) {
    place_runs();
    if (!sealed || others)
        give_rights(GIVEN | RESERVED | IN_ARENA, sealed);
}

void reserve_scatter(void) {
    scatter(false);
    pages_hide_again();
}

void reserve_scatter_sealed(void) {
    scatter(true);
    pages_hide_again();
}

void reserve_scatter_hidden(void) {
    scatter(true);
}

void reserve_unseal(void) {
    for (const struct mapping *each = mapping_from(0); each; each = each->next)
        if (is_sealed(each))
            guest_memory->protect(each, PROT_READ | PROT_WRITE);
}

/* Rights in the arena are those of the moment: now, if it is kept, or as they were then. */
void reserve_arrange(bool keeps) {
    if (!keeps && !moved && host_changes == kept_changes)
        return;
    host_protect(guest_info.arena_lo, guest_info.arena_hi, PROT_READ | PROT_WRITE);
    if (keeps) {
        noted_count = 0, host_noted = note;
        give_rights(IN_ARENA, false);
        pages_hide_again();
        host_noted = NULL;
    }
    if (keeps && noted_count > NOTED_MOST)
        host_protect(guest_info.arena_lo, guest_info.arena_hi, PROT_READ | PROT_WRITE);
    for (u64 i = 0; !keeps && noted_count <= NOTED_MOST && i < noted_count; i++)
        host_protect(noted[i].low, noted[i].high, noted[i].rights);
    kept_changes = host_changes;
}

/* What was not arranged, since all of it was there to be read and written. */
void reserve_place_again(void) {
    place_runs();
    give_rights(RESERVED, false);
    if (noted_count <= NOTED_MOST)
        return;
    give_rights(IN_ARENA, false);
    pages_hide_again();
}
