/*
 * The broker as a process of its own: `broker POLICY REQUESTS SPEED`, a file, a descriptor, and how
 * many seconds pass for it in each.  Its log is standard error.  Without the walls, which only a
 * monitor has.
 */
#include "broker/broker.h"
#include "broker/address.c"
#include "broker/place.c"
#include "broker/log.c"
#include "broker/name.c"
#include "broker/packet.c"
#include "broker/answers.c"
#include "broker/requests.c"
#include "broker/asks.c"
#include "broker/host_files.c"

static s64 speed;

/* In the place of clock.c. */
static void look_at_clock(struct broker *broker) {
    struct timespec now = {0, 0};
    host3(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0);
    broker->now = (now.seconds * BROKER_SECOND + now.nanoseconds) * speed;
}

#include "broker/serve.c"

static s32 number(const char *digits) {
    s32 value = 0;
    for (; *digits; digits++)
        value = value * 10 + *digits - '0';
    return value;
}

static _Alignas(8) u8 policy[65536];

static void put(long fd, long at) {
    if (fd < 0 || fd == at)
        return;
    host3(NR_DUP2, fd, at, 0);
    host3(NR_CLOSE, fd, 0, 0);
}

static long open_file(const char *path) {
    return host4(NR_OPENAT, AT_FDCWD, (long)path, O_RDONLY, 0);
}

int main(int count, char **words) {
    struct broker broker;
    if (count != 4)
        return 2;
    put(number(words[2]), REQUESTS);
    put(open_file("/etc/resolv.conf"), RESOLV_CONF);
    put(open_file("/etc/hosts"), HOSTS);
    long fd = open_file(words[1]);
    host3(NR_READ, fd, (long)policy, sizeof policy);
    host3(NR_CLOSE, fd, 0, 0);
    speed = number(words[3]);
    begin(&broker, (const struct broker_policy *)policy);
    read_host_files(&broker);
    look_at_clock(&broker);
    while (serve_turn(&broker))
        ;
    return 0;
}
