/*
 * Slots: the descriptors that connections of the guest have, and nothing else ever.
 *
 * The kernel gives the lowest free descriptor.  All below the slots are taken and none above them
 * can be, so that whatever a hostile guest accepts, connects and closes is a slot, and the filter
 * knows slots by their numbers.
 */
#include "chosen.h"

static inline bool is_connection(u32 descriptor) {
    return descriptor >= SLOTS_FD && descriptor < SLOTS_END;
}

/* And what carries the datagrams of published ports. */
static inline __attribute__((unused)) bool is_link(u32 descriptor) {
    return is_connection(descriptor) || descriptor - CARRIERS_FD < CARRIERS;
}

/* Each a function of its own, whose arguments are constants that an audit can read. */
static __attribute__((noinline, unused)) long socket_of_4(void) {
    return host3(NR_SOCKET, AF_INET, SOCK_STREAM | SOCKET_FLAGS, 0);
}

static __attribute__((noinline, unused)) long socket_of_6(void) {
    return host3(NR_SOCKET, AF_INET6, SOCK_STREAM | SOCKET_FLAGS, 0);
}

/* To the number that the filter knows. */
static void move_descriptor(long from, long to) {
    if (from == to)
        return;
    must(host3(NR_DUP2, from, to, 0));
    host3(NR_CLOSE, from, 0, 0);
}

static void limit_connections(void) {
    static const u64 most[2] = {SLOTS_END, SLOTS_END};
    if (host3(NR_SETRLIMIT, RLIMIT_NOFILE, (long)most, 0) < 0)
        die(EXIT_CANNOT_START, "limpet: the host allows this process fewer descriptors than the "
                               "bundle has connections: raise `ulimit -Hn`, or build with fewer "
                               "--sockets\n");
}

static void open_events(void) {
    move_descriptor(host3(NR_EPOLL_CREATE1, O_CLOEXEC, 0, 0), EVENTS_FD);
}

/* What was open while the monitor was set up is closed by now.  A parent beside the guest's
 * process, which keeps nothing back, has no slots. */
static void take_low_descriptors(u64 scopes) {
    long last;
    if (!scopes)
        return;
    limit_connections();
    do
        last = host3(NR_FCNTL, EVENTS_FD, F_DUPFD_CLOEXEC, 0);
    while (last >= 0 && last < (long)SLOTS_FD);
    must(last);
    host3(NR_CLOSE, last, 0, 0);
}
