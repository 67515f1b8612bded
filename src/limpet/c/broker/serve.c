/* The broker's life: it waits for the guest and for name servers, and ends with the guest. */
#include "broker/broker.h"

enum { SEND_BUFFER = 7, WAITED_MOST = 1 + CHANNELS_MOST + ASKS_MOST, MILLISECOND = 1000000 };

/* As few replies as the kernel allows lie where the guest does not take them: descriptors on their
 * way are counted for a user, and other guests' brokers are the same one. */
static void keep_few_replies(void) {
    static const u32 least = 1;
    host6(NR_SETSOCKOPT, REQUESTS, PASSED_LEVEL, SEND_BUFFER, (long)&least, sizeof least, 0);
}

/* Everything is nothing but what has to be set. */
static void begin(struct broker *broker, const struct broker_policy *policy) {
    memset(broker, 0, sizeof *broker);
    broker->policy = policy;
    broker->pace.lines = LINES_AT_ONCE;
    keep_few_replies();
    for (u32 i = 0; i < CHANNELS_MOST; i++)
        broker->channel[i].fd = -1;
    for (u32 i = 0; i < ASKS_MOST; i++)
        broker->ask[i].fd = -1;
}

static void close_channel(struct broker *broker, u32 index) {
    struct broker_channel *channel = &broker->channel[index];
    for (u32 i = 0; i < ASKS_MOST; i++)
        if (broker->ask[i].deadline && broker->ask[i].query.serial == channel->serial)
            end_ask(&broker->ask[i]);
    host3(NR_CLOSE, channel->fd, 0, 0);
    channel->fd = -1;
}

static void hear_channel(struct broker *broker, u32 index) {
    u8 packet[QUERY_MOST];
    struct broker_query query;
    const struct broker_channel *channel = &broker->channel[index];
    long size = host6(NR_RECVFROM, channel->fd, (long)packet, sizeof packet,
                      DO_NOT_WAIT | WHOLE_SIZE, 0, 0);
    if (size == -HOST_EAGAIN || size == -HOST_EINTR)
        return;
    if (size <= 0) {
        close_channel(broker, index);
        return;
    }
    query.channel = index;
    query.serial = channel->serial;
    if (size <= QUERY_MOST && take_query(packet, (u32)size, &query))
        serve_query(broker, &query);
    else
        log_name(broker, &(struct dns_name){0}, NULL, "no question for a name");
}

/* One request; whether the guest is still there. */
static bool hear_guest(struct broker *broker) {
    struct broker_request request;
    long size = host6(NR_RECVFROM, REQUESTS, (long)&request, sizeof request,
                      DO_NOT_WAIT | WHOLE_SIZE, 0, 0);
    if (size == -HOST_EAGAIN || size == -HOST_EINTR)
        return true;
    if (size <= 0)
        return false;
    if (size == sizeof request)
        serve_request(broker, &request);
    else
        refuse_request(-HOST_EINVAL);
    return true;
}

/* What is not there has a negative descriptor, which poll leaves out. */
static void wait_for_all(struct broker *broker, struct pollfd *fds) {
    s64 first = FOR_GOOD;
    fds[0] = (struct pollfd){REQUESTS, POLLIN, 0};
    for (u32 i = 0; i < CHANNELS_MOST; i++)
        fds[1 + i] = (struct pollfd){broker->channel[i].fd, POLLIN, 0};
    for (u32 i = 0; i < ASKS_MOST; i++) {
        const struct broker_ask *ask = &broker->ask[i];
        fds[1 + CHANNELS_MOST + i] = (struct pollfd){ask->fd, POLLIN, 0};
        if (ask->deadline)
            first = MIN_OF(first, ask->deadline);
    }
    s64 rest = MAX_OF(first - broker->now, 0L) / MILLISECOND + 1;
    host3(NR_POLL, (long)fds, WAITED_MOST, first == FOR_GOOD ? -1 : rest);
    look_at_clock(broker);
}

/* One turn; whether there will be another.  Descriptors that are closed meanwhile are looked at
 * again: what is heard from is what stands there now, and none of it waits. */
static bool serve_turn(struct broker *broker) {
    struct pollfd fds[WAITED_MOST];
    wait_for_all(broker, fds);
    for (u32 i = 0; i < ASKS_MOST; i++) {
        struct broker_ask *ask = &broker->ask[i];
        if (ask->fd >= 0 && fds[1 + CHANNELS_MOST + i].ready)
            take_reply(broker, ask);
        else if (ask->deadline && ask->deadline <= broker->now)
            send_ask(broker, ask);
    }
    for (u32 i = 0; i < CHANNELS_MOST; i++)
        if (broker->channel[i].fd >= 0 && fds[1 + i].ready)
            hear_channel(broker, i);
    return !fds[0].ready || hear_guest(broker);
}
