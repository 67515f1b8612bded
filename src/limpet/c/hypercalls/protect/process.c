/* protect in a process: what is mapped behind the arena can only have come from it.  A guest that
 * is taken back puts nothing of its program out of reach: what can be read is not looked at. */
#include "parts/snapshot/snapshot.h"

static void process_protect(struct protect *block) {
    bool goes_back = guest_snapshot && guest_snapshot->rewind;
    bool stays = goes_back && !block->rights && block->address < guest_info.image_hi;
    block->result =
        HOST_STUB(protect, mprotect, NR_MPROTECT, (long)block->address, (long)block->length,
                  stays ? PROT_READ : (long)block->rights, 0, 0, 0);
}
