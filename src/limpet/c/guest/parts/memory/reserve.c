/*
 * Addresses are not memory.  What a program reserves lies where nothing is mapped; when it
 * touches a page that it may touch, pages of the arena are placed there, and when it gives them
 * up they go back to where they were.  The host only ever moves them: there are never more.
 */
#include "parts/memory/placed.h"
#include "parts/memory/reserve.h"
#include "core/core.h"
#include "x86_64/signal_abi.h"

#define LEAST_PLACED (64UL << 10)
#define MOST_PLACED (1UL << 20)

static struct run *runs;
static u64 hint;

const struct run *reserve_runs(void) {
    return runs;
}

static int in_reserve(u64 at, u64 size) {
    return at >= guest_info.reserve_lo && at < guest_info.reserve_hi &&
           size <= guest_info.reserve_hi - at;
}

/* The first that ends behind `at`. */
static struct run **run_from(u64 at) {
    struct run **link = &runs;
    while (*link && (*link)->high <= at)
        link = &(*link)->next;
    return link;
}

const struct run *run_at(u64 at) {
    const struct run *found = *run_from(at);
    return found && found->low <= at ? found : NULL;
}

bool run_add(const struct run *new) {
    struct run *made = heap_alloc(sizeof *made), **link = run_from(new->low);
    if (!made)
        return false;
    *made = *new, made->next = *link;
    *link = made;
    return true;
}

/* No run lies on both sides of `at`. */
static bool split_run(u64 at) {
    struct run *run = *run_from(at);
    if (!run || run->low >= at)
        return true;
    struct run upper = *run;
    upper.low = at, upper.frame += at - run->low;
    run->high = at; /* first: its place in the list is behind this one */
    if (run_add(&upper))
        return true;
    run->high = upper.high;
    return false;
}

void run_forget(u64 low) {
    struct run **link = run_from(low), *run = *link;
    *link = run->next;
    heap_free(run);
}

/* What is placed at once: more in a large mapping, never over what is there. */
void run_choose(const struct mapping *in, u64 address, u64 *low, u64 *high) {
    u64 size = LEAST_PLACED;
    while (size < MOST_PLACED && size < (in->high - in->low) / 64)
        size *= 2;
    *low = MAX(in->low, ALIGN_DOWN(address, size));
    *high = MIN(in->high, ALIGN_DOWN(address, size) + size);
    for (const struct run *each = runs; each && each->low < *high; each = each->next) {
        if (each->high <= address)
            *low = MAX(*low, each->high);
        else
            *high = MIN(*high, each->low);
    }
}

static bool place_at(const struct mapping *in, u64 address) {
    u64 low, high;
    run_choose(in, address, &low, &high);
    u64 frame = pages_take((high - low) / PAGE, PAGES_PROGRAM);
    if (!frame) {
        low = ALIGN_DOWN(address, PAGE), high = low + PAGE;
        frame = pages_take(1, PAGES_PROGRAM);
    }
    if (!frame)
        return false;
    bool reads = !(in->rights & PROT_WRITE);
    if (!run_add(&(struct run){.low = low, .high = high, .frame = frame, .changed = reads})) {
        pages_give(frame, (high - low) / PAGE, PAGES_PROGRAM);
        return false;
    }
    if (!host_place(frame, low, high - low)) { /* no page table is left */
        pages_missing();
        run_forget(low);
        pages_give(frame, (high - low) / PAGE, PAGES_PROGRAM);
        return false;
    }
    if (reads)
        host_protect(low, high, in->rights);
    return true;
}

bool reserve_bring(const struct mapping *in, u64 address, const struct regs *regs) {
    return in->home ? alias_bring(in, address, regs) : place_at(in, address);
}

bool may_access(const struct mapping *in, u32 access) {
    return access == ACCESS_WRITE  ? in->rights & PROT_WRITE
           : access == ACCESS_READ ? in->rights != 0
                                   : host_execute && in->rights & PROT_EXEC;
}

/* A page of both: it is written or it is run, never both at once.  An instruction that writes to
 * its own page has no end here. */
static bool flip(const struct mapping *in, const struct fault *fault, const struct regs *regs) {
    u64 page = ALIGN_DOWN(fault->address, PAGE);
    bool runs = fault->access == ACCESS_EXECUTE;
    if (!host_execute || in->given || in->lent || in->home || fault->access == ACCESS_READ ||
        (in->rights & (PROT_WRITE | PROT_EXEC)) != (PROT_WRITE | PROT_EXEC))
        return false;
    if (!runs && regs && ALIGN_DOWN(regs_pc(regs), PAGE) == page)
        return false;
    struct run *run = *run_from(page);
    if (in->reserved && run && run->low <= page)
        run->changed = true;
    host_protect(page, page + PAGE, runs ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE);
    return true;
}

/* What the program has from the start, and can use only now.  In a virtual machine that is data:
 * its host lets all of an object's be written then, and the page tables a page of it. */
static bool wakes(const struct mapping *in, const struct fault *fault) {
    bool runs = fault->access == ACCESS_EXECUTE, writes = fault->access == ACCESS_WRITE;
    bool may = (runs && !host_load) || (writes && may_access(in, ACCESS_WRITE));
    if (!in->given || !guest_placed || !may || !guest_placed->wake(fault->address, runs))
        return false;
    u64 page = ALIGN_DOWN(fault->address, PAGE);
    if (host_load)
        host_protect(page, page + PAGE, PROT_READ | PROT_WRITE);
    return true;
}

/* A page that the program may touch is there now; or the fault is its own, and is told as Linux
 * would: a reservation is mapped, whatever the host says. */
static bool reserve_fault(const struct regs *regs, struct fault *fault) {
    if (fault->signal != SIGSEGV || (fault->code != SEGV_MAPERR && fault->code != SEGV_ACCERR))
        return false;
    const struct mapping *in = mapping_at(fault->address);
    if (!in || !in->given ||
        in->rights != GIVEN_RIGHTS) /* there are holes between a program's segments */
        fault->code = in ? SEGV_ACCERR : SEGV_MAPERR;
    if (in && wakes(in, fault))
        return true;
    if (!in || !may_access(in, fault->access))
        return false;
    if (in->file && (in->reserved || is_hidden(fault->address))) {
        bool mended = ends_fault(in, fault);
        if (mended || fault->signal == SIGBUS)
            return mended;
    }
    if (alias_fault(in, fault->address, regs))
        return true;
    if (!in->reserved || run_at(fault->address))
        return flip(in, fault, regs);
    return reserve_bring(in, fault->address, regs);
}

static bool reserve_present(u64 at, u64 size) {
    bool any = false;
    for (u64 page = ALIGN_DOWN(at, PAGE); mapping_at(page) && page < at + size; page += PAGE) {
        struct fault read = {.signal = SIGSEGV, .code = SEGV_MAPERR, .address = page}, write = read;
        write.access = ACCESS_WRITE; /* of a page that is both, and was run */
        if (alias_comes_again(at, page))
            break; /* it is there for the first of them */
        any |= reserve_fault(NULL, &read);
        any |= reserve_fault(NULL, &write);
    }
    return any;
}

static u64 free_from(u64 at, u64 size) {
    u64 to = size < LARGE_PAGE ? PAGE : LARGE_PAGE;
    for (const struct mapping *each = mapping_from(at); each; each = each->next) {
        if (each->low >= at + size)
            break;
        at = ALIGN_UP(each->high, to);
    }
    return in_reserve(at, size) ? at : 0;
}

static u64 reserve_find(u64 wanted, u64 size) {
    if (in_reserve(wanted, size) && !mappings_between(wanted, wanted + size))
        return wanted;
    u64 at = free_from(hint ? hint : guest_info.reserve_lo, size);
    if (!at)
        at = free_from(guest_info.reserve_lo, size);
    if (at)
        hint = at + size;
    return at;
}

static void reserve_protect(const struct mapping *each, u64 rights) {
    if (each->lent)
        aliases_return(each->low, each->high);
    if (each->given) {
        given_protect(each->low, each->high, rights);
        return;
    }
    if (!each->reserved) {
        host_protect(each->low, mapping_end(each), rights);
        return;
    }
    for (struct run *run = *run_from(each->low); run && run->low < each->high; run = run->next) {
        host_protect(MAX(run->low, each->low), MIN(run->high, each->high), rights);
        run->changed = true;
    }
}

/* Back to the arena, where they are given out again. */
static void reserve_release(u64 low, u64 high) {
    if (!mapping_at(low))      /* else they stay mapped: nothing can be there */
        hint = MIN(hint, low); /* page tables are there already */
    aliases_release(low, high);
    if (!split_run(low) || !split_run(high))
        return; /* without memory for the list they stay until all of it goes */
    for (struct run **link = run_from(low); *link && (*link)->low < high;) {
        struct run *run = *link;
        u64 size = run->high - run->low;
        if (run->changed)
            host_protect(run->low, run->high, PROT_READ | PROT_WRITE);
        if (!host_place(run->low, run->frame, size))
            panic("the host does not move memory back");
        pages_give(run->frame, size / PAGE, PAGES_PROGRAM);
        *link = run->next;
        heap_free(run);
    }
}

/* To other reserved addresses, with what is in them. */
static bool reserve_move(u64 from, u64 size, u64 to) {
    if (!split_run(from) || !split_run(from + size))
        return false;
    for (struct run **link = run_from(from); *link && (*link)->low < from + size;) {
        struct run *run = *link;
        u64 length = run->high - run->low, low = to + (run->low - from);
        if (!host_place(run->low, low, length))
            panic("the host does not move memory");
        *link = run->next;
        run->low = low, run->high = low + length;
        struct run **there = run_from(low);
        run->next = *there;
        *there = run;
    }
    return true;
}

const struct guest_memory own_memory = {
    .fault = reserve_fault,
    .present = reserve_present,
    .pass = reserve_pass,
    .in_reserve = in_reserve,
    .find = reserve_find,
    .protect = reserve_protect,
    .hide = pages_hide,
    .show = pages_show,
    .bound = ends_hide,
    .cut = ends_cut,
    .end = mapping_end,
    .lend = ends_lend,
    .change = given_change,
    .reset = given_reset,
    .load = given_load,
    .lacks = reserve_lacks,
    .alias = alias_map,
    .release = reserve_release,
    .move = reserve_move,
    .gather = reserve_gather,
    .scatter = reserve_scatter,
    .scatter_sealed = reserve_scatter_sealed,
    .scatter_hidden = reserve_scatter_hidden,
    .unseal = reserve_unseal,
    .arrange = reserve_arrange,
    .place_again = reserve_place_again,
    .map = sys_mmap,
};
