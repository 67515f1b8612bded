/* The porter's start: a child of the monitor that raises walls of its own, and stays. */

/* What is not there has a negative descriptor, which poll leaves out. */
static _Noreturn void carry(struct porter *porter, long asks) {
    struct pollfd fds[1 + 2 * CARRIERS];
    while (!porter->ended) {
        fds[0] = (struct pollfd){asks < 0 ? -1 : PORTER_ASKS, POLLIN, 0};
        await_ports(porter, fds + 1);
        host3(NR_POLL, (long)fds, 1 + 2 * CARRIERS, -1);
        if (fds[0].ready)
            hear_guest(porter);
        carry_all(porter, fds + 1);
    }
    tell_left_out(&porter->pace);
    for (;;)
        host3(NR_EXIT_GROUP, 0, 0, 0);
}

/* Each to its number, with nothing else open. */
static void keep_own(long log, long asks, const long *ports, const long *pairs) {
    long aside[PORTER_END];
    for (long i = 0; i < PORTER_END; i++)
        aside[i] = -1;
    aside[STDERR] = log, aside[PORTER_ASKS] = asks;
    for (u64 i = 0; i < CARRIERS; i++)
        aside[PORTER_PORTS + i] = ports[i], aside[PORTER_PAIRS + i] = pairs[i];
    for (long i = 0; i < PORTER_END; i++)
        if (aside[i] >= 0)
            must(aside[i] = host3(NR_FCNTL, aside[i], F_DUPFD_CLOEXEC, PORTER_END));
    for (long i = 0; i < PORTER_END; i++) {
        host3(NR_CLOSE, i, 0, 0);
        if (aside[i] >= 0)
            must(host3(NR_DUP2, aside[i], i, 0));
    }
    host3(NR_CLOSE_RANGE, PORTER_END, 0xffffffffL, 0);
}

enum { PORTER_BINDS = 1 }; /* of Landlock's rights to ports: it may connect */

static _Noreturn void be_porter(long log, long asks, const long *ports, const long *pairs) {
    static const struct {
        u64 length, program;
    } filter = {FILTER_PORTER_LENGTH, FILTER_PORTER_AT};
    struct porter porter = {.pace = {LINES_AT_ONCE, 0, 0}};
    keep_own(log, asks, ports, pairs);
    host3(NR_SETSID, 0, 0, 0); /* what a terminal sends to a guest does not end it */
    porter.peers = peers_of_ports();
    must(host6(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    fence(~0UL, PORTER_BINDS, SCOPES);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_NOFILE, PORTER_END + 1);
    drop_rights();
    if (host3(NR_SECCOMP, SECCOMP_SET_MODE_FILTER, 0, (long)&filter) == 0)
        carry(&porter, asks);
    for (;;)
        host3(NR_EXIT_GROUP, EXIT_CANNOT_START, 0, 0);
}

/* Returns in the guest's process. */
static void start_porter(long log) {
    long ports[CARRIERS + !CARRIERS], pairs[CARRIERS + !CARRIERS];
    open_carriers(ports, pairs);
    long asks = open_asks();
    long child = host3(NR_FORK, 0, 0, 0);
    if (child < 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses the process that UDP needs: raise "
                               "ulimit -u\n");
    if (!child)
        be_porter(log, asks, ports, pairs);
    for (u64 i = 0; i < CARRIERS; i++) {
        host3(NR_CLOSE, ports[i], 0, 0);
        host3(NR_CLOSE, pairs[i], 0, 0);
    }
    if (asks >= 0)
        host3(NR_CLOSE, asks, 0, 0);
    if (log != STDERR)
        host3(NR_CLOSE, log, 0, 0);
}
