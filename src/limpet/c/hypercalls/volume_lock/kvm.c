/* volume_lock on kvm. */
#define LOCK_BY_FLOCK(slot, kind) host3(NR_FLOCK, slot, kind, 0)
#define LOCK_BY_FCNTL(slot, command, range) host3(NR_FCNTL, slot, command, range)
#include "hypercalls/volume_lock/lock.h"

static void serve_volume_lock(struct volume_lock *block) {
    block->result = is_slot(block->slot) ? lock_file(block) : -HOST_EBADF;
}
