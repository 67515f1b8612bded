/*
 * The broker's start: a child of the monitor that raises walls of its own, installs its own filter,
 * and jumps to the broker's code (c/broker), for good.
 *
 * It keeps four descriptors: its log, its end of the pair with the guest, and two files of the
 * host's. All of them are opened here, before the guest is there.  It is behind the walls of a
 * monitor, but that it may connect: it has no files, starts no processes, and can signal nobody.
 */
#include "core/on_the_way.h"
#include "enter.h"

enum {
    BROKER_DESCRIPTORS = 4,
    BROKER_FIRST = STDERR, /* its log, and the others behind it */
    BROKER_ASIDE = 16,
    BROKER_OPEN_MOST = 160, /* its sockets for names and servers, and a few */
    BIND_ONLY = 1           /* of Landlock's rights to ports */
};

/* Each to its number; where the host has no such file nothing is there. */
static void place_descriptors(const long *from) {
    long aside[BROKER_DESCRIPTORS];
    for (long i = 0; i < BROKER_DESCRIPTORS; i++)
        aside[i] = host3(NR_FCNTL, from[i], F_DUPFD_CLOEXEC, BROKER_ASIDE);
    for (long i = 0; i < BROKER_DESCRIPTORS; i++) {
        host3(NR_CLOSE, BROKER_FIRST + i, 0, 0);
        if (aside[i] >= 0)
            must(host3(NR_DUP2, aside[i], BROKER_FIRST + i, 0));
    }
    host3(NR_CLOSE, STDIN, 0, 0);
    host3(NR_CLOSE, STDOUT, 0, 0);
    host3(NR_CLOSE_RANGE, BROKER_FIRST + BROKER_DESCRIPTORS, 0xffffffffL, 0);
}

static _Noreturn void be_broker(const long *descriptors) {
    static const struct filter filter = {FILTER_BROKER_LENGTH, FILTER_BROKER_AT};
    place_descriptors(descriptors);
    host3(NR_SETSID, 0, 0, 0); /* what a terminal sends to a guest does not end its broker */
    map_memory(BROKER_MEMORY, BROKER_END);
    must(host6(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    fence(~0UL, BIND_ONLY, SCOPES);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_NOFILE, BROKER_OPEN_MOST);
    drop_rights();
    enter(&filter, BROKER_END, BROKER_BASE, BROKER_END, BROKER_POLICY);
}

static long open_host_file(const char *path) {
    return host4(NR_OPENAT, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
}

/* Returns in the guest's process, with its end of the pair where the filter knows it. */
static void start_broker(long log) {
    s32 ends[2];
    must(host4(NR_SOCKETPAIR, 1, 5 | O_CLOEXEC, 0, (long)ends)); /* AF_UNIX, SOCK_SEQPACKET */
    must(few_on_their_way(ends[1]));
    const long descriptors[BROKER_DESCRIPTORS] = {log, ends[1], open_host_file("/etc/resolv.conf"),
                                                  open_host_file("/etc/hosts")};
    long child = host3(NR_FORK, 0, 0, 0);
    if (child < 0)
        die(EXIT_CANNOT_START, "limpet: the host refuses the process that --connect of a name or "
                               "a network needs\n");
    if (!child)
        be_broker(descriptors);
    for (long i = 0; i < BROKER_DESCRIPTORS; i++)
        if (descriptors[i] > STDERR)
            host3(NR_CLOSE, descriptors[i], 0, 0);
    move_descriptor(ends[0], BROKER_FD);
    host3(NR_MUNMAP, (long)BROKER_BASE, (long)BROKER_SIZE, 0);
}
