/*
 * All that ring 0 does for a guest but telling it of its faults: pages of the arena move to
 * addresses that are reserved, and back, and the program's pages change their rights.
 *
 * The guest is hostile, and calls this with any numbers.  What holds whatever they are:
 *  - a page of the arena is mapped at most once.  Entries are only ever moved, and only within the
 *    arena and the reserve, whose tables hold nothing else;
 *  - rights change only of entries that the plan has marked; what becomes executable, with --jit,
 *    cannot be written;
 *  - no memory is touched but page tables, which lie at their own addresses; a new table comes
 *    from room that only grows full.
 *
 * The processor is told behind that, by gate.S.
 */
#include "arrange.h"

enum {
    PRESENT = 1,
    WRITABLE = 2,
    USER = 4,
    ACCESSED = 0x20,
    DIRTY = 0x40,
    LARGE = 0x80,
    MARK = 0x200
};
enum { PAGE_SHIFT = 12, LARGE_SHIFT = 21, TOP_SHIFT = 39, ENTRIES = 512, MOST = 1 << 18 };
#define PAGE (1UL << PAGE_SHIFT)
#define NO_EXECUTE (1UL << 63)
#define ADDRESS 0x000ffffffffff000UL
#define EINVAL (-22)
#define ENOMEM (-12)

/* A table of the room that is left, all zeros; NULL: none. */
static u64 *new_table(const struct arrange_plan *plan) {
    struct arranged *now = (struct arranged *)plan->now;
    u64 at = now->next_table;
    if (at >= plan->tables_end)
        return (u64 *)0;
    now->next_table = at + PAGE;
    return (u64 *)at;
}

static u64 to_table(const u64 *table) {
    return (u64)table | PRESENT | WRITABLE | USER | ACCESSED;
}

/* A large page of the program's becomes small ones. */
static u64 *split(const struct arrange_plan *plan, u64 *entry) {
    u64 each = *entry & ~(u64)LARGE, *table = each & MARK ? new_table(plan) : (u64 *)0;
    if (!table)
        return (u64 *)0;
    for (u64 i = 0; i < ENTRIES; i++, each += PAGE)
        table[i] = each;
    *entry = to_table(table);
    return table;
}

/* As large_entry(), from the root on. */
static __attribute__((noinline)) u64 *found_entry(const struct arrange_plan *plan, u64 at,
                                                  int made) {
    u64 *table = (u64 *)plan->root;
    for (unsigned shift = TOP_SHIFT; shift > LARGE_SHIFT; shift -= 9) {
        u64 *entry = &table[at >> shift & (ENTRIES - 1)];
        u64 *new = *entry & PRESENT || !made ? (u64 *)0 : new_table(plan);
        if (new)
            *entry = to_table(new);
        if (!(*entry & PRESENT))
            return (u64 *)0;
        table = (u64 *)(*entry & ADDRESS);
    }
    return &table[at >> LARGE_SHIFT & (ENTRIES - 1)];
}

/* What says where 2 MiB around `at` are: nothing, a table, or a large page, which may be out of
 * reach as a whole.  NULL: no table leads there, and none can be `made`. */
static inline u64 *large_entry(const struct arrange_plan *plan, u64 at, int made) {
    if (at < plan->row_end)
        return (u64 *)plan->row + (at >> LARGE_SHIFT);
    return found_entry(plan, at, made);
}

/* The table of small pages that `entry` says; NULL: there is none, and none can be `made`. */
static u64 *table_in(const struct arrange_plan *plan, u64 *entry, int made) {
    u64 *table = (u64 *)0;
    if ((*entry & (PRESENT | LARGE)) == PRESENT)
        return (u64 *)(*entry & ADDRESS);
    if (*entry & LARGE)
        return split(plan, entry);
    if (made && (table = new_table(plan)))
        *entry = to_table(table);
    return table;
}

static u64 *table_of(const struct arrange_plan *plan, u64 at, int made) {
    u64 *entry = large_entry(plan, at, made);
    return entry ? table_in(plan, entry, made) : (u64 *)0;
}

/* How many of `pages` from `at` on are in one table. */
static u64 piece(u64 at, u64 pages) {
    u64 left = ENTRIES - (at >> PAGE_SHIFT & (ENTRIES - 1));
    return pages < left ? pages : left;
}

static int within(u64 at, u64 size, u64 low, u64 high) {
    return at >= low && at < high && size <= high - at;
}

static int movable(const struct arrange_plan *plan, u64 at, u64 size) {
    return within(at, size, plan->arena_lo, plan->arena_hi) ||
           within(at, size, plan->reserve_lo, plan->reserve_hi);
}

/* Every table first, so that all of it is done or nothing. */
static int tables_for(const struct arrange_plan *plan, u64 at, u64 pages) {
    for (u64 count; pages; at += count * PAGE, pages -= count) {
        count = piece(at, pages);
        if (!table_of(plan, at, 1))
            return 0;
    }
    return 1;
}

static void move_entries(u64 *from, u64 *to, u64 count) {
    u64 zeros = count;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count)::"memory");
    from -= zeros;
    __asm__ volatile("rep stosq" : "+D"(from), "+c"(zeros) : "a"(0UL) : "memory");
}

static u64 *entry_in(u64 *table, u64 at) {
    return table + (at >> PAGE_SHIFT & (ENTRIES - 1));
}

static long move(const struct arrange_plan *plan, u64 from, u64 to, u64 pages) {
    u64 size = pages * PAGE;
    if (!movable(plan, from, size) || !movable(plan, to, size))
        return EINVAL;
    if (from < to ? to - from < size : from - to < size)
        return EINVAL; /* over itself */
    if (!tables_for(plan, from, pages) || !tables_for(plan, to, pages))
        return ENOMEM;
    ((struct arranged *)plan->now)->moved = 1;
    for (u64 count; pages; pages -= count, from += count * PAGE, to += count * PAGE) {
        count = piece(to, piece(from, pages));
        move_entries(entry_in(table_of(plan, from, 0), from), entry_in(table_of(plan, to, 0), to),
                     count);
    }
    return 0;
}

enum { READ = 1, READ_WRITE = 3, READ_EXECUTE = 5 };

/* Those that the plan has marked.  Few instructions, and one write each: a host that emulates
 * ring 0 takes a microsecond for one. */
static void change(u64 *entry, u64 count, u64 bits) {
    u64 *to = entry, keep = ~(NO_EXECUTE | PRESENT | WRITABLE), changed;
    __asm__ volatile("1: lodsq\n\t"
                     "test %[mark], %%eax\n\t"
                     "jz 2f\n\t"
                     "and %[keep], %%rax\n\t"
                     "or %[bits], %%rax\n"
                     "2: stosq\n\t"
                     "loop 1b"
                     : "+S"(entry), "+D"(to), "+c"(count), "=&a"(changed)
                     : [mark] "i"(MARK), [bits] "r"(bits), [keep] "r"(keep)
                     : "cc", "memory");
}

/* Whether one of these entries is zeros: its page has been moved away. */
static int any_empty(const u64 *entry, u64 count) {
    int found;
    __asm__("repne scasq" : "+D"(entry), "+c"(count), "=@ccz"(found) : "a"(0UL) : "memory");
    return found;
}

/* All of a marked entry that says what may be done with a small page, but whether it can be run. */
static u8 low_byte(u64 rights) {
    return (u8)(USER | ACCESSED | DIRTY | rights);
}

/* One instruction for each of `many` entries. */
#define WRITE_BYTES(many)                                                                          \
    __asm__ volatile(".set offset, 0\n\t"                                                          \
                     ".rept " #many "\n\t"                                                         \
                     "movb %0, offset(%1)\n\t"                                                     \
                     ".set offset, offset + 8\n\t"                                                 \
                     ".endr"                                                                       \
                     :                                                                             \
                     : "q"(byte), "r"(entry)                                                       \
                     : "memory")

/* Of pages of the arena, wherever they are. */
static __attribute__((noinline)) void change_own(u64 *entry, u64 count, u8 byte) {
    for (; count >= 32; count -= 32, entry += 32)
        WRITE_BYTES(32);
    for (; count >= 4; count -= 4, entry += 4)
        WRITE_BYTES(4);
    for (; count; count--, entry++)
        WRITE_BYTES(1);
}

/* No rights: the entry stays, and is not present. */
static long give_rights(const struct arrange_plan *plan, u64 at, u64 pages, u64 rights) {
    u64 bits = (rights & (PRESENT | WRITABLE)) | (rights == READ_EXECUTE ? 0 : NO_EXECUTE);
    if (rights && rights != READ && rights != READ_WRITE && !(rights == READ_EXECUTE && plan->jit))
        return EINVAL;
    if (!within(at, pages * PAGE, PAGE, plan->reserve_hi))
        return EINVAL;
    int own = !plan->jit && movable(plan, at, pages * PAGE);
    int moved = at >= plan->reserve_lo || ((struct arranged *)plan->now)->moved;
    for (u64 count; pages; pages -= count, at += count * PAGE) {
        count = piece(at, pages);
        u64 *large = large_entry(plan, at, 0);
        if (count == ENTRIES && large && *large & LARGE) { /* as a whole */
            change(large, 1, bits);
            continue;
        }
        u64 *table = large ? table_in(plan, large, 0) : (u64 *)0, *entry = entry_in(table, at);
        if (!table)
            return ENOMEM;
        if (own && !(moved && any_empty(entry, count)))
            change_own(entry, count, low_byte(rights));
        else
            change(entry, count, bits);
    }
    return 0;
}

static __attribute__((noinline)) long any(u64 from, u64 to, u64 pages, u64 rights,
                                          const struct arrange_plan *plan) {
    if ((from | to) % PAGE || !pages || pages > MOST)
        return EINVAL;
    return to ? move(plan, from, to, pages) : give_rights(plan, from, pages, rights);
}

/* What is asked for most, in a third of the instructions: a few small pages that one table of the
 * row has.  Whatever is not that is left to the rest. */
static int is_usual(u64 at, u64 to, u64 pages, u64 rights, const struct arrange_plan *plan) {
    if (to || plan->jit || at >= plan->row_end || at < PAGE || at % PAGE)
        return 0;
    return pages - 1 < piece(at, ENTRIES) && (rights == READ_WRITE || rights <= READ);
}

/* To `to`, or where they are with other rights when that is 0.  Returns 0 or -errno. */
long arrange(u64 from, u64 to, u64 pages, u64 rights, const struct arrange_plan *plan) {
    if (!is_usual(from, to, pages, rights, plan))
        return any(from, to, pages, rights, plan);
    u64 said = ((u64 *)plan->row)[from >> LARGE_SHIFT];
    if ((said & (PRESENT | LARGE)) != PRESENT)
        return any(from, to, pages, rights, plan);
    u64 *entry = entry_in((u64 *)(said & ADDRESS), from);
    if (from < plan->arena_lo || from + pages * PAGE > plan->arena_hi ||
        ((struct arranged *)plan->now)->moved)
        change(entry, pages, (rights & READ_WRITE) | NO_EXECUTE);
    else
        change_own(entry, pages, low_byte(rights));
    return 0;
}
