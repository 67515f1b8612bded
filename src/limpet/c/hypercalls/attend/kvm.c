/* attend on kvm. */
#define WAIT_CLOCK_GETTIME(clock, to) host3(NR_CLOCK_GETTIME, clock, to, 0)
#define WAIT_PPOLL(fds, count, timeout) host6(NR_PPOLL, fds, count, timeout, 0, 0, 0)
#define WAIT_DEVICES MANIFEST
#define ATTEND_READ(to, size) host3(NR_READ, SIGNAL_FD, to, size)
#include "hypercalls/attend/attend.h"

static void serve_attend(struct attend *block) {
    attend_until(block);
}
