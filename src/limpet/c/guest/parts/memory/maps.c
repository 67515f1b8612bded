/* The list of the program's mappings. */
#include "parts/memory/reserve.h"

/* The memory that a program has from the start. */
static struct mapping stack = {.rights = PROT_READ | PROT_WRITE, .given = true};
static struct mapping image = {.next = &stack, .rights = GIVEN_RIGHTS, .given = true};

static struct mapping *first;
bool (*mappings_limit)(u64 more, bool data);
static bool started;

static void take_given(void) {
    started = true;
    image.low = guest_info.image_lo, image.high = guest_info.image_hi;
    stack.low = guest_info.stack_lo, stack.high = guest_info.stack_top;
    first = image.high ? &image : NULL;
}

struct mapping *mapping_from(u64 at) {
    if (!started)
        take_given();
    struct mapping *each = first;
    while (each && each->high <= at)
        each = each->next;
    return each;
}

struct mapping *mapping_at(u64 at) {
    struct mapping *found = mapping_from(at);
    return found && found->low <= at ? found : NULL;
}

bool mappings_cover(u64 low, u64 high) {
    for (struct mapping *each = mapping_from(low); low < high; each = each->next) {
        if (!each || each->low > low)
            return false;
        low = each->high;
    }
    return true;
}

bool mappings_between(u64 low, u64 high) {
    const struct mapping *there = mapping_from(low);
    return there && there->low < high;
}

static bool uses(const struct mapping *each, u64 low, u64 high) {
    return each->home && each->home < high && low < each->home + (each->high - each->low);
}

bool mappings_use(u64 low, u64 high) {
    bool used = mappings_between(low, high);
    for (const struct mapping *each = first; each && !used; each = each->next)
        used = uses(each, low, high);
    return used;
}

/* `upper` continues `lower`: one mapping could be both. */
static bool continues(const struct mapping *lower, const struct mapping *upper) {
    if (lower->high != upper->low || lower->file != upper->file || lower->given != upper->given)
        return false;
    if (lower->rights != upper->rights || lower->shared != upper->shared ||
        lower->lent != upper->lent || lower->reserved != upper->reserved ||
        lower->layers != upper->layers)
        return false;
    if (upper->home != (lower->home ? lower->home + (lower->high - lower->low) : 0))
        return false;
    return !lower->file || lower->offset + (lower->high - lower->low) == upper->offset;
}

static bool join_next(struct mapping *each) {
    struct mapping *next = each->next;
    if (!next || !continues(each, next))
        return false;
    each->high = next->high;
    each->next = next->next;
    if (next->file)
        file_release(next->file);
    heap_free(next);
    return true;
}

void mappings_join(u64 low, u64 high) {
    for (struct mapping *each = mapping_from(low - 1); each && each->low < high;)
        if (!join_next(each))
            each = each->next;
}

bool mapping_add(const struct mapping *new) {
    mapping_from(0);
    struct mapping *made = heap_alloc(sizeof *made), **link = &first, *before = NULL;
    if (!made)
        return false;
    for (; *link && (*link)->low < new->low; link = &(*link)->next)
        before = *link;
    *made = *new;
    made->next = *link;
    *link = made;
    if (made->file)
        made->file->references++;
    if (made->file && guest_memory)
        guest_memory->bound(made->low, made->high);
    join_next(made);
    if (before)
        join_next(before);
    return true;
}

/* What was one mapping lies on both sides of `at`: now there are two. */
static bool split(u64 at) {
    struct mapping *lower = mapping_at(at);
    if (!lower || lower->low == at)
        return true;
    struct mapping *upper = heap_alloc(sizeof *upper);
    if (!upper)
        return false;
    *upper = *lower;
    upper->low = lower->high = at;
    upper->offset += at - lower->low;
    upper->home += upper->home ? at - lower->low : 0;
    lower->next = upper;
    if (upper->file)
        upper->file->references++;
    return true;
}

bool mappings_ready(u64 low, u64 high) {
    return split(low) && split(high);
}

bool mapping_add_lent(const struct mapping *new) {
    if (!mappings_ready(new->low, new->high))
        return false;
    for (u64 at = new->low; at < new->high;) {
        struct mapping *there = mapping_from(at), gap = *new;
        if (there && there->low <= at) {
            there->layers++;
            there->rights |= new->rights;
            set_rights(there, there->rights);
            at = there->high;
            continue;
        }
        gap.low = at, gap.offset += at - new->low;
        at = gap.high = there ? MIN(there->low, new->high) : new->high;
        if (!mapping_add(&gap))
            return false;
        if (gap.rights != (PROT_READ | PROT_WRITE))
            set_rights(&gap, gap.rights);
    }
    return true;
}

static void drop(struct mapping *each) {
    u64 size = each->high - each->low;
    bool owned = !each->reserved && !each->lent && !each->given; /* pages of the arena */
    if (!each->reserved && each->rights != (PROT_READ | PROT_WRITE))
        set_rights(each, PROT_READ | PROT_WRITE); /* for whoever gets the pages next */
    if (owned && guest_memory)
        guest_memory->hide(each->low, each->high);
    u64 home = each->lent ? each->low : each->home;
    if (each->reserved)
        guest_memory->release(each->low, each->high);
    if (home && !mappings_use(home, home + size))
        each->file->ops->unmap(each->file, each->offset, size);
    else if (owned)
        pages_give(each->low, size / PAGE, PAGES_PROGRAM);
    if (each->file)
        file_release(each->file);
    if (each != &image && each != &stack)
        heap_free(each);
}

void mappings_remove(u64 low, u64 high, enum layers layers) {
    mapping_from(0);
    for (struct mapping **link = &first; *link && (*link)->low < high;) {
        struct mapping *each = *link;
        bool stays = each->high <= low;
        if (!stays && layers == LAST_LAYER && each->layers)
            each->layers--, stays = true;
        if (stays) {
            link = &each->next;
            continue;
        }
        *link = each->next;
        drop(each);
    }
}
