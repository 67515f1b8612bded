/*
 * Where a file ends in its mappings.  The last page of it is filled up with zeros; behind that a
 * touch is SIGBUS, until the file is longer.  Such pages are hidden: nobody has to look for them.
 */
#include "core/core.h"
#include "parts/files/node.h"
#include "parts/memory/reserve.h"
#include "x86_64/signal_abi.h"

/* The end of what the file behind a mapping has of it. */
u64 mapping_end(const struct mapping *each) {
    if (!each->file || each->file->ops != &regular_ops)
        return each->high;
    u64 size = ALIGN_UP(((const struct node *)each->file->object)->size, PAGE);
    u64 there = size > each->offset ? size - each->offset : 0;
    return each->low + MIN(there, each->high - each->low);
}

void ends_hide(u64 low, u64 high) {
    for (struct mapping *each = mapping_from(low); each && each->low < high; each = each->next) {
        u64 end = mapping_end(each);
        if (end < each->high && !each->reserved)
            pages_hide(end, each->high);
        if (each->lent && each->rights != (PROT_READ | PROT_WRITE))
            set_rights(each, each->rights); /* what is new has them too */
    }
}

/* A copy that is as the file was has not been written: it will end where the file does. */
static void clear_rest(const struct mapping *each, u64 size) {
    aliases_return(each->home, each->home + (each->high - each->low)); /* none has a home of 0 */
    u64 page = ALIGN_DOWN(size, PAGE), at = each->low + (page - each->offset);
    if (each->shared || page < each->offset || at >= mapping_end(each))
        return;
    u8 *same = heap_alloc(PAGE);
    if (!same)
        return;
    set_rights(each, PROT_READ | PROT_WRITE);
    if (fill_from_file(each->file, (u64)same, PAGE, page) == 0 && !memcmp(same, (u8 *)at, PAGE))
        memset((u8 *)at + size % PAGE, 0, PAGE - size % PAGE);
    set_rights(each, each->rights);
    heap_free(same);
}

void ends_cut(const void *node, u64 size) {
    for (struct mapping *each = mapping_from(0); each; each = each->next)
        if (each->file && each->file->ops == &regular_ops && each->file->object == node)
            clear_rest(each, size);
}

/* What is mapped shared is the file: the library OS reads and writes it whatever the program may.
 */
void ends_lend(u64 at, u64 size, u64 rights, bool begins) {
    u64 low = ALIGN_DOWN(at, PAGE), high = ALIGN_UP(at + size, PAGE);
    if (begins)
        aliases_return(low, high);
    for (struct mapping *each = mapping_from(low); each && each->low < high; each = each->next)
        if (each->lent && rights & ~(u64)each->rights)
            host_protect(MAX(low, each->low), MIN(high, mapping_end(each)),
                         begins ? PROT_READ | PROT_WRITE : each->rights);
}

/* The file has it by now. */
static bool come(const struct mapping *in, u64 page) {
    pages_show(page, PAGE);
    if (!in->lent && fill_from_file(in->file, page, PAGE, in->offset + (page - in->low)) < 0)
        return false;
    if (in->rights != (PROT_READ | PROT_WRITE))
        host_protect(page, page + PAGE, in->rights);
    return true;
}

bool ends_fault(const struct mapping *in, struct fault *fault) {
    u64 page = ALIGN_DOWN(fault->address, PAGE);
    if (page < mapping_end(in))
        return is_hidden(page) && come(in, page);
    fault->signal = SIGBUS, fault->code = BUS_ADRERR;
    return false;
}
