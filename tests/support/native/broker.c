/*
 * The broker as a process of its own: `broker POLICY REQUESTS SPEED`, a file, a descriptor, and how
 * many seconds pass for it in each.  Its log is standard error.  Without the walls, which only a
 * monitor has.
 */
#include "features/broker/broker.h"

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

#include "features/broker/address.c"
#include "features/broker/place.c"
#include "features/broker/log.c"
#include "features/broker/name.c"
#include "features/broker/packet.c"
#include "features/broker/answers.c"
#include "features/broker/requests.c"
#include "features/broker/asks.c"
#include "features/broker/host_files.c"

static s64 speed;

/* In the place of clock.c. */
static void look_at_clock(struct broker *broker) {
    struct timespec now = {0, 0};
    host3(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0);
    broker->now = (now.seconds * BROKER_SECOND + now.nanoseconds) * speed;
}

#include "features/broker/serve.c"

static s32 number(const char *digits) {
    s32 value = 0;
    for (; *digits; digits++)
        value = value * 10 + *digits - '0';
    return value;
}

static _Alignas(8) u8 policy[65536];

int main(int count, char **words) {
    struct broker broker;
    if (count != 4)
        return 2;
    long fd = host4(NR_OPENAT, AT_FDCWD, (long)words[1], O_RDONLY, 0);
    host3(NR_READ, fd, (long)policy, sizeof policy);
    host3(NR_CLOSE, fd, 0, 0);
    speed = number(words[3]);
    begin(&broker, (const struct broker_policy *)policy, number(words[2]), STDERR);
    read_host_files(&broker);
    look_at_clock(&broker);
    while (serve_turn(&broker))
        ;
    return 0;
}
