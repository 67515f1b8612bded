/* Connections: which the policy allows, and how each is made. */
#include "features/broker/broker.h"

static bool rule_has_port(const struct broker_rule *rule, const struct broker_request *request) {
    return rule->udp == request->udp && request->port >= rule->port_low &&
           request->port <= rule->port_high;
}

enum allowance { NOT_ALLOWED, OTHER_PORT, BY_NAME, BY_NET, BY_ADDRESS };

/* How a rule allows it; one address that the policy names is as good as it gets. */
static enum allowance rule_allows(const struct broker_rule *rule,
                                  const struct broker_request *request,
                                  const struct refused_block *block, bool pinned) {
    if (rule->kind == RULE_NET) {
        if (!is_in(request->address.bytes, rule->net, rule->prefix) ||
            (block && !means_block(rule, block)))
            return NOT_ALLOWED;
        if (!rule_has_port(rule, request))
            return OTHER_PORT;
        return rule->prefix == 128 ? BY_ADDRESS : BY_NET;
    }
    if (!pinned || block)
        return NOT_ALLOWED;
    return rule_has_port(rule, request) ? BY_NAME : OTHER_PORT;
}

/* Why the guest may not connect there; NULL: it may. */
static const char *why_refused(struct broker *broker, const struct broker_request *request) {
    const struct refused_block *block = refused_block(&request->address);
    u64 pinned = rules_of_pinned(broker, &request->address);
    enum allowance best = NOT_ALLOWED;
    for (u32 i = 0; i < broker->policy->rules; i++) {
        enum allowance found =
            rule_allows(&broker->policy->rule[i], request, block, pinned >> i & 1);
        best = MAX_OF(best, found);
    }
    if (best == OTHER_PORT)
        return "another port of an address that is allowed";
    if (best == NOT_ALLOWED)
        return block ? block->why : "no --connect allows this address, or no name leads to it now";
    if (best != BY_ADDRESS && is_hosts_own(&request->address))
        return "an address of the host's own";
    return NULL;
}

struct vector {
    void *at;
    u64 size;
};

struct socket_message { /* struct msghdr */
    void *name;
    u64 name_size;
    struct vector *vector;
    u64 count;
    void *control;
    u64 control_size;
    u64 flags;
};

struct passed { /* struct cmsghdr with one descriptor */
    u64 size;
    s32 level, kind, fd, pad;
};

enum { PASSED_SIZE = 20, OF_SOCKETS_LEVEL = 1, PASS_RIGHTS = 1 };
enum { WHOLE_SIZE = 0x20, DO_NOT_WAIT = 0x40, NO_SIGNAL = 0x4000 };

/* With a descriptor, which is closed here; negative: without one.  Where the guest does not take
 * its replies they are lost. */
static void give(struct broker *broker, long fd, struct broker_reply reply) {
    struct passed passed = {PASSED_SIZE, OF_SOCKETS_LEVEL, PASS_RIGHTS, (s32)fd, 0};
    struct vector vector = {&reply, sizeof reply};
    struct socket_message message = {NULL, 0, &vector, 1, &passed, sizeof passed, 0};
    if (fd < 0)
        message.control = NULL, message.control_size = 0;
    host3(NR_SENDMSG, broker->requests, (long)&message, DO_NOT_WAIT | NO_SIGNAL);
    if (fd >= 0)
        host3(NR_CLOSE, fd, 0, 0);
}

static void refuse_request(struct broker *broker, long error) {
    give(broker, -1, (struct broker_reply){error, 0});
}

static void connect_for_guest(struct broker *broker, const struct broker_request *request) {
    long state = 0;
    const char *why = why_refused(broker, request);
    if (why) {
        log_connection(broker, request, why);
        refuse_request(broker, -HOST_EACCES);
        return;
    }
    long fd = open_to(&request->address, request->port,
                      request->udp ? BROKER_DATAGRAM : BROKER_STREAM, &state);
    give(broker, fd, (struct broker_reply){fd < 0 ? fd : 0, state});
}

/* A socket over which the guest asks for names: each datagram a query, as to a name server. */
static void open_channel(struct broker *broker) {
    s32 ends[2];
    struct broker_channel *channel = broker->channel;
    while (channel < broker->channel + CHANNELS_MOST && channel->fd >= 0)
        channel++;
    if (channel == broker->channel + CHANNELS_MOST) {
        refuse_request(broker, -HOST_ENOBUFS);
        return;
    }
    long error = host4(NR_SOCKETPAIR, BROKER_UNIX, BROKER_PACKETS | BROKER_FLAGS, 0, (long)ends);
    if (error < 0) {
        refuse_request(broker, error);
        return;
    }
    channel->fd = ends[0];
    channel->serial = ++broker->serials;
    give(broker, ends[1], (struct broker_reply){0, 0});
}

static void serve_request(struct broker *broker, const struct broker_request *request) {
    if (request->what == BROKER_RESOLVER)
        open_channel(broker);
    else if (request->what == BROKER_CONNECT && request->udp <= 1 && request->port)
        connect_for_guest(broker, request);
    else
        refuse_request(broker, -HOST_EINVAL);
}
