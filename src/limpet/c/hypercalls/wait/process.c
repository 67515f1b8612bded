/* wait in a process. */
#define WAIT_CLOCK_GETTIME(clock, to)                                                              \
    HOST_STUB(wait, clock_gettime, NR_CLOCK_GETTIME, clock, to, 0, 0, 0, 0)
#define WAIT_PPOLL(fds, count, timeout)                                                            \
    HOST_STUB(wait, ppoll, NR_PPOLL, fds, count, timeout, 0, 0, 0)
#define WAIT_DEVICES ((const struct manifest *)guest_info.devices)
#include "hypercalls/wait/wait.h"

static void process_wait(struct wait *block) {
    wait_until(block);
}
