/*
 * /dev/limpet/snapshot: a program that writes to it is at its moment.
 *
 * The folder is only there in a guest of which a snapshot is taken, and in what goes on from one.
 * The write ends as any other does, in each start of the bundle; a second one does nothing.  What
 * is read there is 1 behind the moment and 0 before.
 */
#include "parts/snapshot/snapshot.h"
#include "parts/world/world.h"

static void make_moment(struct text *to, u64 number) {
    (void)number;
    text_number(to, snapshot_taken() != NO_MOMENT);
    text_put(to, "\n");
}

static long come_to_moment(const char *bytes, u64 size, u64 number) {
    (void)bytes, (void)number;
    if (size)
        snapshot_take(MOMENT_MARKER);
    return 0;
}

static const struct standard names[] = {SET("snapshot", make_moment, come_to_moment), {0}};

const struct standard snapshot_folder = FOLDER("limpet", 0755, names);
