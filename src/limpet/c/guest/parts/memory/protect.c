/* mprotect. */
#include "parts/memory/reserve.h"

enum { PROT_SEM = 8, PROT_GROWSDOWN = 0x01000000, PROT_GROWSUP = 0x02000000 };

static long change(struct mapping *each, u8 rights) {
    if (rights & PROT_EXEC && !host_execute)
        return execution_refused();
    bool own = each->lent || each->home; /* the file's own pages */
    if (rights & PROT_EXEC && own)
        return -EACCES;
    if (rights & PROT_WRITE && each->shared && each->file && !writable(each->file))
        return -EACCES;
    if (counts_as_data(rights, each->shared) && !(each->rights & PROT_WRITE) &&
        beyond_limit(each->high - each->low, true))
        return -ENOMEM;
    if (rights & PROT_WRITE && !(each->rights & PROT_WRITE) && each->reserved && !own &&
        guest_memory->lacks(each->low, each->high)) {
        pages_missing();
        return -ENOMEM;
    }
    each->rights = rights;
    set_rights(each, rights);
    return 0;
}

static long change_given(struct mapping *each, u8 rights) {
    return guest_memory ? guest_memory->change(each, rights) : 0;
}

/* From the mapping that `low` is in to the one that ends at `high` or beyond, as far as there is
 * no hole: those before it change, as on Linux. */
long rights_change(u64 low, u64 high, u8 rights) {
    struct mapping *each = mapping_at(low);
    for (u64 at = low; at < high; at = each->high, each = each->next) {
        if (!each || each->low > at)
            return -ENOMEM;
        long error = each->given ? change_given(each, rights) : change(each, rights);
        if (error)
            return error;
    }
    return 0;
}

long sys_mprotect(long address, long length, long protection) {
    const u64 grows = PROT_GROWSDOWN | PROT_GROWSUP;
    u64 low = (u64)address, rights = (u64)protection & ~grows;
    u64 size = ALIGN_UP((u64)length, PAGE);
    if (((u64)protection & grows) == grows || low % PAGE)
        return -EINVAL;
    if (!length)
        return 0;
    if (low + size <= low)
        return -ENOMEM;
    if (rights & ~(u64)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
        return -EINVAL;
    const struct mapping *there = mapping_at(low);
    if (!there)
        return -ENOMEM;
    if ((u64)protection & grows)
        return -EINVAL; /* nothing here grows */
    if ((!there->given || guest_memory) && !mappings_ready(low, low + size))
        return -ENOMEM;
    long error = rights_change(low, low + size, (u8)(rights & 7));
    mappings_join(low, low + size);
    return error;
}
