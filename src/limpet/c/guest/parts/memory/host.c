/* What is asked of the host, or of ring 0, about pages: in pieces that it takes.  And how many of
 * them are left. */
#include "parts/memory/reserve.h"

bool host_place(u64 from, u64 to, u64 size) {
    for (u64 done = 0, piece; done < size; done += piece) {
        piece = MIN(size - done, PLACE_MOST);
        struct place block = {.from = from + done, .to = to + done, .length = piece};
        hypercall_place(&block);
        if (block.result < 0)
            return false;
    }
    return true;
}

static void host_execute_all(u64 low, u64 high) {
    for (u64 at = low; at < high; at += PLACE_MOST) {
        struct execute block = {.address = at, .length = MIN(high - at, PLACE_MOST)};
        host_execute(&block);
    }
}

u64 host_changes;
void (*host_noted)(u64 low, u64 high, u64 rights);

/* What is to be written and run can be written first. */
void host_protect(u64 low, u64 high, u64 rights) {
    u64 host = rights & PROT_WRITE ? 3 : rights & PROT_READ;
    host_changes += low >= guest_info.arena_lo && low < guest_info.arena_hi;
    if (host_noted)
        host_noted(low, high, rights);
    if (rights & PROT_EXEC && !(rights & PROT_WRITE) && host_execute) {
        host_execute_all(low, high);
        return;
    }
    bool again = host == 3 && low < guest_info.image_hi; /* a page at a time: no code is near */
    u64 most = again ? RESTORED_MOST : PLACE_MOST;
    for (u64 at = low; at < high; at += most) {
        struct protect block = {.address = at, .length = MIN(high - at, most), .rights = host};
        hypercall_protect(&block);
    }
}

#define A_STEP (256UL << 10)

/* Whoever asks for rights is told, as by a limit of Linux's; a touch could only end the program.
 * A heap's next step will be written; of what is larger, a stack, a little may be. */
bool reserve_lacks(u64 low, u64 high) {
    u64 missing = high - low;
    for (const struct run *run = reserve_runs(); run && run->low < high; run = run->next)
        if (run->high > low)
            missing -= MIN(run->high, high) - MAX(run->low, low);
    return pages_free_count() < (missing <= A_STEP ? missing / PAGE : 1);
}
