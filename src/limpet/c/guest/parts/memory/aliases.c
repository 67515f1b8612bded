/*
 * A shared file's page at more addresses than one.  Memory has one address only, and there is one
 * processor: so the page is where it was touched last, and moves when it is touched elsewhere.  It
 * has a home in the arena, as a row of its file (files/extents.c); all other addresses are
 * reserved ones, and nothing more is asked of the host for them than for reservations.
 */
#include "core/core.h"
#include "parts/memory/reserve.h"

enum { MOST_RETURNS = 64 };

static u64 away; /* runs whose pages are a file's */

static void go_home(const struct run *run) {
    u64 low = run->low, frame = run->frame, end = frame + (run->high - low);
    if (run->changed)
        host_protect(low, run->high, PROT_READ | PROT_WRITE);
    if (!host_place(low, frame, end - frame))
        panic("the host does not move memory back");
    run_forget(low);
    away--;
    for (const struct mapping *each = mapping_from(frame); each && each->low < end;
         each = each->next)
        if (each->rights != (PROT_READ | PROT_WRITE))
            host_protect(MAX(each->low, frame), MIN(each->high, end), each->rights);
}

bool aliases_return(u64 low, u64 high) {
    bool any = false;
    const struct run *next;
    for (const struct run *each = reserve_runs(); away && each; each = next) {
        next = each->next;
        if (!each->lent || each->frame >= high || each->frame + (each->high - each->low) <= low)
            continue;
        go_home(each);
        any = true;
    }
    return any;
}

void aliases_release(u64 low, u64 high) {
    const struct run *next;
    for (const struct run *each = reserve_runs(); away && each && each->low < high; each = next) {
        next = each->next;
        if (each->lent && each->high > low)
            go_home(each);
    }
}

/* One instruction that touches a page at two addresses at once has no end: it comes again as it
 * was, without ever being done. */
static bool has_no_end(const struct regs *regs) {
    static struct regs last;
    static u32 times;
    if (!regs)
        return false;
    times = memcmp(regs, &last, sizeof last) ? 0 : times + 1;
    last = *regs;
    if (times < MOST_RETURNS)
        return false;
    mapping_refused();
    return true;
}

/* Where a mapping's pages are at home; 0: they are no file's. */
static u64 home_of(const struct mapping *each) {
    return each->lent ? each->low : each->home;
}

static bool meets(const struct mapping *each, u64 low, u64 high) {
    u64 home = home_of(each);
    return home && home < high && low < home + (each->high - each->low);
}

static bool is_alone(const struct mapping *in) {
    u64 uses = 0;
    for (const struct mapping *each = mapping_from(0); each; each = each->next)
        uses += meets(each, in->home, in->home + (in->high - in->low));
    return uses == 1;
}

bool alias_comes_again(u64 from, u64 page) {
    const struct mapping *in = mapping_at(page);
    u64 home = home_of(in) + (page - in->low);
    for (const struct mapping *each = mapping_from(from); home_of(in) && each != in;
         each = each->next)
        if (meets(each, home, home + PAGE) &&
            each->low + (home - home_of(each)) >= ALIGN_DOWN(from, PAGE))
            return true;
    return false;
}

bool alias_bring(const struct mapping *in, u64 address, const struct regs *regs) {
    u64 low = ALIGN_DOWN(address, PAGE), high = low + PAGE;
    if (is_alone(in))
        run_choose(in, address, &low, &high);
    high = MIN(high, mapping_end(in));
    u64 frame = in->home + (low - in->low);
    const struct mapping *there = mapping_at(frame);
    bool differ = in->rights != (PROT_READ | PROT_WRITE) || (there && there->rights != in->rights);
    if (aliases_return(frame, frame + (high - low)) && has_no_end(regs))
        return false;
    const struct run made = {
        .low = low, .high = high, .frame = frame, .changed = differ, .lent = true};
    if (!run_add(&made))
        return false;
    if (!host_place(frame, low, high - low)) { /* no page table is left */
        pages_missing();
        run_forget(low);
        return false;
    }
    away++;
    if (differ)
        host_protect(low, high, in->rights);
    return true;
}

bool alias_fault(const struct mapping *in, u64 address, const struct regs *regs) {
    u64 page = ALIGN_DOWN(address, PAGE);
    return in->lent && aliases_return(page, page + PAGE) && !has_no_end(regs);
}

long alias_map(const struct mapping *want, const struct mapping_wish *wish) {
    u64 low = wish->fixed ? wish->at : guest_memory->find(0, wish->length), piece;
    struct mapping made = *want;
    made.lent = false, made.reserved = true;
    for (u64 done = 0; low && done < wish->length; done += piece) {
        piece = wish->length - done;
        const struct mapping_wish part = {.offset = wish->offset + done,
                                          .length = piece,
                                          .shared = wish->shared,
                                          .writes = wish->writes,
                                          .in_use = mappings_use,
                                          .row = &piece};
        long home = made.file->ops->map(made.file, &part);
        made.low = low + done, made.high = made.low + piece;
        made.home = (u64)home, made.offset = part.offset;
        if (home > 0 && mapping_add(&made))
            continue;
        if (done && mappings_ready(low, low + done))
            mappings_remove(low, low + done, ALL_LAYERS);
        return home > 0 ? -ENOMEM : home;
    }
    return low ? (long)low : -ENOMEM;
}
