/*
 * Rights of what a program has from the start.  They change where it could write: in its data,
 * that of its objects, and its stack.  Code and constants stay as they are, which no program but
 * one that patches itself can tell.
 */
#include "parts/memory/placed.h"
#include "parts/memory/reserve.h"

/* The first piece of [at, high) that the program could write at the start. */
static bool next_data(u64 at, u64 high, struct span *piece) {
    const struct span *data = (const struct span *)guest_info.data;
    if (at >= guest_info.stack_lo) {
        *piece = (struct span){at, high};
        return at < high;
    }
    for (u64 i = 0; i < guest_info.data_count && data[i].low < high; i++) {
        *piece = (struct span){MAX(at, data[i].low), MIN(high, data[i].high)};
        if (piece->low < piece->high)
            return true;
    }
    return false;
}

void given_protect(u64 low, u64 high, u64 rights) {
    struct span piece;
    for (u64 at = low; next_data(at, high, &piece); at = piece.high) {
        if (host_load && rights & PROT_WRITE)
            guest_placed->load(piece.low); /* or the host does not let it be written */
        host_protect(piece.low, piece.high, rights);
    }
}

long given_change(struct mapping *each, u8 rights) {
    struct span piece;
    u64 data = 0;
    for (u64 at = each->low; next_data(at, each->high, &piece); at = piece.high)
        data += piece.high - piece.low;
    bool runs = rights & PROT_EXEC && data;
    if (runs || (rights & PROT_WRITE && data < each->high - each->low))
        return host_execute || !(rights & PROT_EXEC) ? -EACCES : execution_refused();
    each->rights = rights;
    given_protect(each->low, each->high, rights);
    return 0;
}

/* A part of an object is mapped: whatever its loader has sealed or put out of reach there before,
 * the part has the rights of its file again. */
void given_reset(u64 low, u64 high) {
    low = ALIGN_DOWN(low, PAGE), high = ALIGN_UP(high, PAGE);
    bool ready = mappings_ready(low, high); /* without memory for that, all of what overlaps */
    for (struct mapping *each = mapping_from(low); each && each->low < high; each = each->next) {
        if (!each->given || each->rights & PROT_WRITE)
            continue;
        each->rights = GIVEN_RIGHTS;
        given_protect(each->low, each->high, PROT_READ | PROT_WRITE);
    }
    if (ready)
        mappings_join(low, high);
}

/* A virtual machine's page tables have the rights of all objects; what the host lets be written
 * stays so. */
static bool machine_load(u64 low, u64 rights) {
    struct load block = {.data = low};
    if (rights & PROT_WRITE)
        host_load(&block);
    return block.result >= 0;
}

/* Code is let through as a whole only, data a page at a time. */
bool given_load(u64 low, u64 high, u64 rights) {
    if (host_load)
        return machine_load(low, rights);
    struct protect block = {.address = low, .length = high - low, .rights = rights};
    if (rights & PROT_EXEC || high - low == PAGE)
        hypercall_protect(&block);
    else
        host_protect(low, high, rights);
    return block.result >= 0;
}
