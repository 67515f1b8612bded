/* volume_lock in a process. */
#define LOCK_BY_FLOCK(slot, kind) HOST_STUB(volume_lock, flock, NR_FLOCK, slot, kind, 0, 0, 0, 0)
#define LOCK_BY_FCNTL(slot, command, range)                                                        \
    HOST_STUB(volume_lock, fcntl, NR_FCNTL, slot, command, range, 0, 0, 0)
#include "hypercalls/volume_lock/lock.h"

static void process_volume_lock(struct volume_lock *block) {
    block->result = lock_file(block);
}
