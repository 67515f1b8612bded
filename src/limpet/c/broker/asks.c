/*
 * Questions: the guest's, and on their way to the host's name servers.
 *
 * Each goes from a socket of its own, whose port the kernel chooses, with a random number: whoever
 * does not see it can hardly answer it.  The socket is connected, so nobody else is heard.
 */
#include "broker/broker.h"

enum { NAME_PORT = 53 };

static void end_ask(struct broker_ask *ask) {
    if (ask->fd >= 0)
        host3(NR_CLOSE, ask->fd, 0, 0);
    ask->fd = -1;
    ask->deadline = 0;
}

static void reply_to(struct broker *broker, const struct broker_query *query, u32 code,
                     const struct broker_answer *answer) {
    u8 packet[QUERY_MOST];
    const struct broker_channel *channel = &broker->channel[query->channel];
    if (channel->fd < 0 || channel->serial != query->serial)
        return; /* closed meanwhile */
    s64 left = answer ? (answer->until - broker->now) / BROKER_SECOND : 0;
    u32 size = make_reply(packet, query, code, answer, (u32)MAX_OF(left, 1L));
    host6(NR_SENDTO, channel->fd, (long)packet, size, DO_NOT_WAIT | NO_SIGNAL, 0, 0);
}

/* To the next server, as often as each may be tried; then the guest is told that none answers. */
static void send_ask(struct broker *broker, struct broker_ask *ask) {
    u8 packet[QUERY_MOST];
    long state;
    while (ask->tries < TRIES * broker->servers) {
        if (ask->fd >= 0)
            host3(NR_CLOSE, ask->fd, 0, 0);
        const struct broker_address *server = &broker->server[ask->tries++ % broker->servers];
        ask->deadline = broker->now + TRY_TIME;
        ask->fd = (s32)open_to(server, NAME_PORT, BROKER_DATAGRAM, &state);
        if (ask->fd < 0 || host3(NR_GETRANDOM, (long)&ask->id, sizeof ask->id, 0) < 0)
            continue;
        u32 size = make_query(packet, ask->id, &ask->query.name, ask->query.type);
        if (host6(NR_SENDTO, ask->fd, (long)packet, size, DO_NOT_WAIT | NO_SIGNAL, 0, 0) >= 0)
            return;
    }
    reply_to(broker, &ask->query, SERVER_FAILURE, NULL);
    end_ask(ask);
}

/* An answer that is none is not heard: the right one may still come. */
static void take_reply(struct broker *broker, struct broker_ask *ask) {
    u8 packet[PACKET_MOST];
    struct broker_answer answer;
    long size = host6(NR_RECVFROM, ask->fd, (long)packet, sizeof packet, DO_NOT_WAIT, 0, 0);
    if (size < 0) {
        if (size != -HOST_EAGAIN && size != -HOST_EINTR)
            send_ask(broker, ask); /* nobody is there */
        return;
    }
    answer.name = ask->query.name;
    answer.type = ask->query.type;
    answer.rules = ask->rules;
    s32 code = take_answer(packet, (u32)size, ask->id, &answer);
    if (code < 0)
        return;
    if (code == NO_ERROR)
        reply_to(broker, &ask->query, NO_ERROR, pin_answer(broker, &answer));
    else if (code == NO_SUCH_NAME)
        reply_to(broker, &ask->query, NO_SUCH_NAME, NULL);
    else {
        send_ask(broker, ask);
        return;
    }
    end_ask(ask);
}

static void start_ask(struct broker *broker, const struct broker_query *query, u64 rules) {
    struct broker_ask *ask = broker->ask;
    while (ask < broker->ask + ASKS_MOST && ask->deadline)
        ask++;
    if (ask == broker->ask + ASKS_MOST) {
        reply_to(broker, query, SERVER_FAILURE, NULL);
        return;
    }
    ask->query = *query;
    ask->rules = rules;
    ask->tries = 0;
    send_ask(broker, ask);
}

/* What the host's /etc/hosts says; NULL: nothing about that name. */
static struct broker_answer *from_hosts(struct broker *broker, const struct broker_query *query,
                                        u64 rules) {
    struct broker_answer answer;
    bool known = false;
    answer.name = query->name;
    answer.type = query->type;
    answer.rules = rules;
    answer.count = 0;
    answer.until = 0;
    for (u32 i = 0; i < broker->hosts; i++) {
        const struct broker_host *host = &broker->host[i];
        if (!same_name(&host->name, &query->name))
            continue;
        known = true;
        if (is_v4(&host->address) == (query->type == TYPE_A) && answer.count < ADDRESSES_MOST)
            answer.address[answer.count++] = host->address;
    }
    return known ? pin_answer(broker, &answer) : NULL;
}

static void serve_query(struct broker *broker, const struct broker_query *query) {
    u64 rules = rules_of_name(broker->policy, &query->name);
    if (!rules) {
        log_name(broker, &query->name, NULL, "no --connect allows this name");
        reply_to(broker, query, NO_SUCH_NAME, NULL);
        return;
    }
    if (query->type != TYPE_A && query->type != TYPE_AAAA) {
        reply_to(broker, query, NO_ERROR, NULL);
        return;
    }
    const struct broker_answer *known = find_answer(broker, &query->name, query->type);
    if (!known)
        known = from_hosts(broker, query, rules);
    if (known)
        reply_to(broker, query, NO_ERROR, known);
    else
        start_ask(broker, query, rules);
}
