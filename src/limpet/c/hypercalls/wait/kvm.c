/* wait on kvm. */
#define WAIT_CLOCK_GETTIME(clock, to) host3(NR_CLOCK_GETTIME, clock, to, 0)
#define WAIT_PPOLL(fds, count, timeout) host6(NR_PPOLL, fds, count, timeout, 0, 0, 0)
#define WAIT_DEVICES MANIFEST
#include "hypercalls/wait/wait.h"

static void serve_wait(struct wait *block) {
    wait_until(block);
}
