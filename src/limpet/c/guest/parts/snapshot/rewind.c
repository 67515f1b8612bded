/*
 * /dev/limpet/rewind: the first write of a word to it has the monitor keep the whole machine; with
 * every other write it is as it was then, and the first goes on, once more.  So who has asked a
 * second time does not go on at all, and whoever goes on is the first, with the time and the seeds
 * of now.
 */
#include "parts/snapshot/snapshot.h"
#include "linux.h"

long snapshot_rewind(u64 word) {
    struct rewind block = {.word = word};
    if (!guest_snapshot->rewind)
        return -ENXIO;
    guest_snapshot->rewind(&block);
    if (!block.result)
        guest_snapshot->rewound(&block);
    memset(&block.seed, 0, sizeof block.seed);
    return block.result;
}
