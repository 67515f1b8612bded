/*
 * The porter: a process beside a guest's that has its ports of UDP, and makes sockets of UDP to its
 * endpoints.
 *
 * The address that a datagram is sent to is behind a pointer, where no filter looks.  So the
 * guest's own filter lets it name none: it answers through this process, which sends only to those
 * who have written to the port, and it sends to an endpoint over a socket that is connected there.
 * The porter is behind a filter of its own; it has no files, and ends with its guest.
 *
 * Hostile: every byte of the guest's, and every datagram.
 */
#include "broker_messages.h"
#define LOG_TIME(now) host3(NR_CLOCK_GETTIME, CLOCK_REALTIME, now, 0)
#define LOG_WRITE(at, size) host3(NR_WRITE, STDERR, at, size)
#include "log_lines.h"
#include "peers.h"

enum { UNIX_PAIR = 1, UNIX_PACKETS = 5 }; /* AF_UNIX, SOCK_SEQPACKET */
enum { WHOLE_SIZE = 0x20, DO_NOT_WAIT = 0x40, NO_SIGNAL = 0x4000 };

struct porter {
    struct log_pace pace;
    struct peers *peers;       /* of each port */
    bool full[PUBLISHED_MOST]; /* the guest has not taken what came there */
    bool ended;                /* the guest has */
};

/* Each a function of its own, whose arguments are constants that an audit can read. */
static __attribute__((noinline, unused)) long datagrams_of_4(void) {
    return host3(NR_SOCKET, AF_INET, SOCK_DGRAM | SOCKET_FLAGS, 0);
}

static __attribute__((noinline, unused)) long datagrams_of_6(void) {
    return host3(NR_SOCKET, AF_INET6, SOCK_DGRAM | SOCKET_FLAGS, 0);
}

/* Away from the numbers that the guest's filter knows. */
static inline long park(long from) {
    long parked = host3(NR_FCNTL, from, F_DUPFD_CLOEXEC, PARKED_FD);
    must(parked);
    host3(NR_CLOSE, from, 0, 0);
    return parked;
}

static s64 porter_clock(void) {
    struct timespec now = {0, 0};
    host3(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0);
    return now.seconds * LOG_SECOND + now.nanoseconds;
}
