/* What the guest asks for: a socket to an endpoint; or it tells what it did not get, for the log.
 */
#include "core/on_the_way.h"
#define SEND_MESSAGE(message) host3(NR_SENDMSG, PORTER_ASKS, message, DO_NOT_WAIT | NO_SIGNAL)
#include "passing.h"

static void give_socket(long fd) {
    give(fd, (struct broker_reply){fd < 0 ? fd : 0});
}

static void log_refused(struct porter *porter, const struct broker_request *request) {
    if (request->what == BROKER_FAMILY)
        log_family(&porter->pace, porter_clock(), request);
    else
        log_connection(&porter->pace, porter_clock(), request, "no --connect allows this");
}

static void hear_guest(struct porter *porter) {
    struct broker_request request;
    long size = host6(NR_RECVFROM, PORTER_ASKS, (long)&request, sizeof request,
                      DO_NOT_WAIT | WHOLE_SIZE, 0, 0);
    if (size == -HOST_EAGAIN || size == -HOST_EINTR)
        return;
    porter->ended |= size <= 0;
    if (size != sizeof request) {
        give_socket(-HOST_EINVAL);
        return;
    }
    long fd = open_asked(&request);
    if (fd == -HOST_EACCES)
        log_refused(porter, &request);
    give_socket(fd);
}

/* The guest's end of the pair to where its filter knows it; the porter's. */
static long open_asks(void) {
    s32 ends[2];
    must(host4(NR_SOCKETPAIR, UNIX_PAIR, UNIX_PACKETS | O_CLOEXEC, 0, (long)ends));
    must(few_on_their_way(ends[1]));
    long own = park(ends[1]);
    move_descriptor(ends[0], BROKER_FD);
    return own;
}
