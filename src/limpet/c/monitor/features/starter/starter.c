/*
 * The guest ends with who started it, even if that is killed while the guest computes.  The kernel
 * sees to it: it sends the signal when the thread ends that started this.  A starter that was
 * gone before has closed its end of standard input.
 */
#include "core/monitor.h"

enum { STARTER_DEATH = 1, STARTER_KILL = 9, STARTER_GONE = 0x10 }; /* PR_SET_PDEATHSIG, POLLHUP */

/* Behind the walls: who becomes another user has forgotten it. */
static void end_with_starter(void) {
    struct pollfd input = {0, 0, 0};
    must(host6(NR_PRCTL, STARTER_DEATH, STARTER_KILL, 0, 0, 0, 0));
    if (host3(NR_POLL, (long)&input, 1, 0) > 0 && input.ready & STARTER_GONE)
        die(EXIT_CANNOT_START, "limpet: whoever started this has ended\n");
}
