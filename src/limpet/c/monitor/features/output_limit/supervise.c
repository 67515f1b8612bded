/*
 * --max-output: the monitor runs in a child, and this parent passes its output on and
 * counts it.  In a process the guest makes its own writes, so nobody inside can count.
 * Trusted: nothing from the pipes is looked at.
 */
#include "core/monitor.h"

enum { SIGKILL = 9, SIGCHLD = 17, PR_SET_PDEATHSIG = 1, PIECE = 16384 };

static void expect(long result) {
    if (result < 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses the pipes or process that --max-output "
                               "needs\n");
}

static void write_all(int fd, const u8 *from, long size) {
    while (size > 0) {
        long done = host3(NR_WRITE, fd, (long)from, size);
        if (done == -HOST_EINTR)
            continue;
        if (done < 0)
            return; /* closed or full: the guest learns it when its pipe is closed */
        from += done, size -= done;
    }
}

static _Noreturn void end_child(long child, int status, const char *line) {
    host3(NR_KILL, child, SIGKILL, 0);
    host4(NR_WAIT4, child, 0, 0, 0);
    die(status, line);
}

/* Pass on what there is; false at the end of the stream. */
static bool pass_on(int from, int to, u64 *left, long child) {
    u8 bytes[PIECE];
    long got = host3(NR_READ, from, (long)bytes, sizeof bytes);
    if (got <= 0)
        return got == -HOST_EINTR;
    bool too_much = (u64)got > *left;
    write_all(to, bytes, too_much ? (long)*left : got);
    *left -= too_much ? *left : (u64)got;
    if (too_much)
        end_child(child, EXIT_OUTPUT, "limpet: the guest wrote more than its --max-output\n");
    return true;
}

static _Noreturn void pass_all(int out, int error, long child) {
    struct pollfd fds[2] = {{out, POLLIN, 0}, {error, POLLIN, 0}};
    u64 left = MAX_OUTPUT;
    int open_ends = 2, status = 0;
    while (open_ends) {
        if (host3(NR_POLL, (long)fds, 2, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd < 0 || !fds[i].ready || pass_on(fds[i].fd, i + STDOUT, &left, child))
                continue;
            fds[i].fd = -1;
            open_ends--;
        }
    }
    while (host4(NR_WAIT4, child, (long)&status, 0, 0) == -HOST_EINTR)
        ;
    for (;;)
        host3(NR_EXIT_GROUP,
              status & 0x7f ? SIGNAL_STATUS + (status & 0x7f) : status >> 8 & EXIT_MOST, 0, 0);
}

/* Once at once, and once more as another user, since becoming one forgets it. */
static void end_with_parent(void) {
    host6(NR_PRCTL, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
}

/* A domain of Landlock for both, so that the parent can signal its child and nobody else.
 * Returns in the child, whose standard output and error are pipes to the parent. */
static void supervise(void) {
    const u64 usual[4] = {0};
    int out[2], error[2];
    must(host6(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    fence(0, 0, SCOPES);
    expect(host3(NR_PIPE2, (long)out, 0, 0));
    expect(host3(NR_PIPE2, (long)error, 0, 0));
    host4(NR_RT_SIGACTION, SIGCHLD, (long)usual, 0, 8);
    long child = host3(NR_FORK, 0, 0, 0);
    expect(child);
    if (child) {
        host3(NR_CLOSE, out[1], 0, 0);
        host3(NR_CLOSE, error[1], 0, 0);
        raise_walls(0);
        pass_all(out[0], error[0], child);
    }
    end_with_parent();
    expect(host3(NR_DUP2, out[1], STDOUT, 0));
    expect(host3(NR_DUP2, error[1], STDERR, 0));
    for (int i = 0; i < 2; i++) { /* what the starter left open may be devices */
        host3(NR_CLOSE, out[i], 0, 0);
        host3(NR_CLOSE, error[i], 0, 0);
    }
}
