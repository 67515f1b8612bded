/*
 * Closing what is open on the host.
 *
 * What was open to be read, or only to be named, holds nothing but itself.  Such descriptors are
 * left open a little longer, while they are in a row, and go in one call: before the guest waits,
 * or has another connection, whose slots are the same; before it changes anything below a volume or
 * asks how much room there is; and when there are enough of them, or the host has no more.
 */
#include "parts/volumes/volumes.h"

enum { LEFT_MOST = 16 };

static u64 left_first, left;

static void close_row(u64 first, u64 count) {
    struct volume_close block = {.slot = first, .last = first + count - 1};
    volume_host.close(&block);
}

bool slots_settle(void) {
    u64 count = left;
    left = 0;
    if (count)
        close_row(left_first, count);
    return count;
}

void volumes_settle(void) {
    volumes_found();
    slots_settle();
}

void slot_close(u64 slot) {
    close_row(slot, 1);
}

void slot_leave(u64 slot) {
    if (left && slot == left_first - 1)
        left_first = slot;
    else if (left && slot != left_first + left)
        slots_settle();
    if (!left)
        left_first = slot;
    left++;
    if (left == LEFT_MOST)
        slots_settle();
}
