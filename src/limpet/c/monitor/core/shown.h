/* What /proc shows of a process as its command line: memory that is there while the guest runs.  A
 * host that refuses shows none. */
#ifndef LIMPET_SHOWN_H
#define LIMPET_SHOWN_H

#include "core/monitor.h"

struct process_map { /* struct prctl_mm_map */
    u64 code[2], data[2], heap[2], stack, words[2], environment[2], auxv;
    u32 auxv_size, executable;
};
_Static_assert(sizeof(struct process_map) == 104, "struct prctl_mm_map");

enum { PR_SET_MM = 35, PR_SET_MM_MAP = 14 };

static inline void show_words(u64 at, u64 end) {
    const struct process_map map = {{at, at + 1}, {at, at}, {at, at}, at, {at, end},
                                    {end, end},   0,        0,        ~0U};
    host6(NR_PRCTL, PR_SET_MM, PR_SET_MM_MAP, (long)&map, sizeof map, 0, 0);
}

#endif
