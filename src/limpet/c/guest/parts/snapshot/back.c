/*
 * In a process, code that nothing can change makes all of a guest as it was (hypercalls/rewind),
 * and nothing here is trusted with that.  The host compares what is mapped where, and with which
 * rights; so all of it is where a start has it before, with the rights of the moment, and what lay
 * elsewhere is moved there again behind.
 */
#include "rewound.h"
#include "parts/memory/placed.h"
#include "parts/memory/reserve.h"
#include "parts/snapshot/snapshot.h"

static u64 word;

static void come_back(void) {
    snapshot_go_on(guest_memory ? guest_memory->place_again : NULL);
}

static void leave(void) {
    if (guest_memory)
        guest_memory->arrange(!REWOUND->kept);
    if (!REWOUND->kept && !snapshot_keep(snapshot_between(), come_back))
        come_back();
    snapshot_forget(word);
}

void snapshot_go_back(struct rewind *block) {
    block->result = -EPERM;
    if (!REWOUND->takes)
        return;
    word = block->word;
    if (guest_memory && guest_placed)
        guest_placed->keep(!REWOUND->kept);
    snapshot_leave(leave);
    block->result = REWOUND->kept ? 0 : -EBUSY;
}
