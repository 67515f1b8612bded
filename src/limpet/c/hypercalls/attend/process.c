/* attend in a process. */
#define WAIT_CLOCK_GETTIME(clock, to)                                                              \
    HOST_STUB(attend, clock_gettime, NR_CLOCK_GETTIME, clock, to, 0, 0, 0, 0)
#define WAIT_PPOLL(fds, count, timeout)                                                            \
    HOST_STUB(attend, ppoll, NR_PPOLL, fds, count, timeout, 0, 0, 0)
#define WAIT_DEVICES ((const struct manifest *)guest_info.devices)
#define ATTEND_READ(to, size) HOST_STUB(attend, read, NR_READ, SIGNAL_FD, to, size, 0, 0, 0)
#include "hypercalls/attend/attend.h"

static void process_attend(struct attend *block) {
    attend_until(block);
}
