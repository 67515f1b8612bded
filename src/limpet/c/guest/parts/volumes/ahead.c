/*
 * What a file is, and its first bytes, came as it was opened: on kvm that is one exit for all.
 *
 * Somebody outside may change the file at any time, and who reads it then has to see that.  So this
 * is for reads that follow at once: nothing else was asked of the host meanwhile, whatever for, so
 * that nobody outside can have told the guest that there is something new; and no longer than
 * MOMENT, less than what the guest's clock may differ from anybody else's.  Reading has a trace,
 * the time of the last access, but for a mount that is only read.
 */
#include "parts/volumes/volumes.h"
#include "x86_64/machine.h"

#define MOMENT 20000UL /* nanoseconds */

static struct {
    u64 stat[STAT_BYTES / sizeof(u64)];
    u8 bytes[VOLUME_AHEAD];
} room LARGE;
static u64 slot_of, since, exits;
static s64 there;

void ahead_room(struct volume_open *block) {
    const struct mft_entry *volume = volume_entry(block->volume);
    bool reads = block->way < HOW_WRITES && !(block->way & (HOW_PATH | HOW_FOLDER));
    bool traceless = volume->read_only && volume->no_devices;
    slot_of = 0;
    block->room = reads && traceless && boot_info.backend == BACKEND_KVM ? (u64)&room : 0;
}

void ahead_came(const struct volume_open *block) {
    if (!block->room || block->result < 0)
        return;
    slot_of = (u64)block->result, there = block->ahead;
    since = ticks(), exits = exits_made;
}

static bool is_now(u64 slot) {
    return slot == slot_of && slot && exits == exits_made &&
           ticks() - since < MOMENT * boot_info.tsc_khz / 1000000;
}

const void *ahead_stat(u64 slot) {
    return is_now(slot) ? room.stat : NULL;
}

long ahead_read(u64 slot, void *to, u64 size, u64 at) {
    if (!is_now(slot) || there < 0)
        return -1;
    u64 end = (u64)there, rest = at < end ? end - at : 0;
    if (size > rest && end == VOLUME_AHEAD)
        return -1;
    memcpy(to, room.bytes + (at < end ? at : 0), MIN(size, rest));
    return (long)MIN(size, rest);
}
