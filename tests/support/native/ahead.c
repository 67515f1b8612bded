/* What came as a file was opened, with a clock and a count of hypercalls that the test sets. */
#include "native.h"
#include "x86_64/machine.h"

static u64 now;
#define ticks() now

u64 exits_made;
#include "core/string.c"
#include "parts/volumes/ahead.c"

static struct manifest volumes;
const struct guest_info guest_info = {.devices = (u64)&volumes};
struct boot_info boot_info = {.backend = BACKEND_KVM, .tsc_khz = 1000000};

/* Whether what came with an opening is still good so much later, after so many hypercalls;
 * `traces`: the mount notes who reads. */
EXPORT(int, is_good, u64 later, u64 calls, int traces) {
    struct volume_open block = {.way = 0};
    volumes.entries[0].read_only = true;
    volumes.entries[0].no_devices = !traces;
    ahead_room(&block);
    block.result = 5, block.ahead = 3;
    ahead_came(&block);
    now += later, exits_made += calls;
    u8 to[4];
    bool good = ahead_stat(5) != NULL;
    if (good != (ahead_read(5, to, sizeof to, 0) == 3) || ahead_stat(6))
        return -1;
    return good;
}
