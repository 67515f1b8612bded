/*
 * --tty: the monitor runs in a child, and this parent gives the terminal its modes back when
 * the child has ended, however it ended: a process that is killed restores nothing by itself.
 * Trusted: nothing of the guest is looked at but how it ended, from behind the same walls; one
 * domain of Landlock for both, so that the parent can signal its child and nobody else.
 *
 * A signal from the terminal reaches both.  What somebody sends to the parent alone is passed
 * on.  Those that stop are left as they are, so that a shell sees both stop and go on.
 */
#include "core/monitor.h"

enum {
    KEEPER_KILL = 9,
    KEEPER_CHILD = 17,
    KEEPER_DEATH = 1, /* PR_SET_PDEATHSIG */
    KEEPER_NO_HANG = 1,
    KEEPER_BLOCK = 0,
    KEEPER_UNBLOCK = 1,
    SIGNAL_CODE = 2 /* where siginfo has si_code, in words of 32 bits */
};
#define BIT(signal) (1UL << ((signal) - 1))
/* SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCHLD; SIGTTOU, since a parent
 * in the background sets modes too */
#define KEPT                                                                                       \
    (BIT(1) | BIT(2) | BIT(3) | BIT(10) | BIT(12) | BIT(14) | BIT(15) | BIT(KEEPER_CHILD) | BIT(22))

/* Until the child has ended: its status. */
static int child_ended(long child) {
    u64 kept = KEPT;
    s32 info[32];
    int status = 0;
    for (;;) {
        long signal = host4(NR_RT_SIGTIMEDWAIT, (long)&kept, (long)info, 0, 8);
        if (signal > 0 && signal != KEEPER_CHILD && info[SIGNAL_CODE] <= 0)
            host3(NR_KILL, child, signal, 0);
        if (host4(NR_WAIT4, child, (long)&status, KEEPER_NO_HANG, 0))
            return status;
    }
}

/* What each standard descriptor's terminal was: they may be different ones, and the guest can set
 * the modes of each. */
struct kept_modes {
    u8 modes[FIRST_FD][TERMINAL_SIZE];
    u32 there; /* a bit for each that is one */
};

static _Noreturn void keep(const struct kept_modes *before, long child) {
    raise_walls(0);
    host6(NR_PRCTL, KEEPER_DEATH, 0, 0, 0, 0, 0); /* the starter may end before it */
    int status = child_ended(child);
    for (int fd = 0; fd < FIRST_FD; fd++)
        if (before->there >> fd & 1)
            host3(NR_IOCTL, fd, TCSETS, (long)before->modes[fd]);
    for (;;)
        host3(NR_EXIT_GROUP,
              status & 0x7f ? SIGNAL_STATUS + (status & 0x7f) : status >> 8 & EXIT_MOST, 0, 0);
}

/* Once at once, and once more as another user, since becoming one forgets it. */
static void end_with_keeper(void) {
    host6(NR_PRCTL, KEEPER_DEATH, KEEPER_KILL, 0, 0, 0, 0);
}

/* Returns in the child, or where there is no terminal. */
static void keep_terminal(void) {
    struct kept_modes modes;
    u64 kept = KEPT, before = 0, default_action[4] = {0};
    modes.there = 0;
    for (int fd = 0; fd < FIRST_FD; fd++)
        if (host3(NR_IOCTL, fd, TCGETS, (long)modes.modes[fd]) >= 0)
            modes.there |= 1U << fd;
    if (!modes.there)
        return;
    must(host6(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    fence(0, 0, SCOPES);
    host4(NR_RT_SIGACTION, KEEPER_CHILD, (long)default_action, 0, 8);
    host4(NR_RT_SIGPROCMASK, KEEPER_BLOCK, (long)&kept, (long)&before, 8);
    long child = host3(NR_FORK, 0, 0, 0);
    if (child < 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses the process that --tty needs\n");
    if (child)
        keep(&modes, child);
    kept &= ~before;
    host4(NR_RT_SIGPROCMASK, KEEPER_UNBLOCK, (long)&kept, 0, 8);
    end_with_keeper();
}
