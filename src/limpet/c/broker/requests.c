/* Connections: which the policy allows, and how each is made. */
#include "broker/broker.h"

static bool is_udp(const struct broker_request *request) {
    return request->what == BROKER_UDP;
}

static const struct broker_address *address_of(const struct broker_request *request) {
    return (const struct broker_address *)request->address;
}

static bool rule_has_port(const struct broker_rule *rule, const struct broker_request *request) {
    return rule->udp == is_udp(request) && request->port >= rule->port_low &&
           request->port <= rule->port_high;
}

enum allowance { NOT_ALLOWED, OTHER_PORT, BY_NAME, BY_NET, BY_ADDRESS };

/* How a rule allows it; one address that the policy names is as good as it gets. */
static enum allowance rule_allows(const struct broker_rule *rule,
                                  const struct broker_request *request,
                                  const struct refused_block *block, bool pinned) {
    if (rule->kind == RULE_NET) {
        if (!is_in(request->address, rule->net, rule->prefix) ||
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
    const struct refused_block *block = refused_block(address_of(request));
    u64 pinned = rules_of_pinned(broker, address_of(request));
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
    if (best != BY_ADDRESS && is_hosts_own(address_of(request)))
        return "an address of the host's own";
    return NULL;
}

enum { PORT_MOST = 65535, WHOLE_SIZE = 0x20, DO_NOT_WAIT = 0x40, NO_SIGNAL = 0x4000 };

#define SEND_MESSAGE(message) host3(NR_SENDMSG, REQUESTS, message, DO_NOT_WAIT | NO_SIGNAL)
#include "passing.h"

static void refuse_request(long error) {
    give(-1, (struct broker_reply){error});
}

static void connect_for_guest(struct broker *broker, const struct broker_request *request) {
    long state = 0;
    const char *why = why_refused(broker, request);
    if (why) {
        log_connection(&broker->pace, broker->now, request, why);
        refuse_request(-HOST_EACCES);
        return;
    }
    long fd = open_to(address_of(request), (u16)request->port,
                      is_udp(request) ? BROKER_DATAGRAM : BROKER_STREAM, &state);
    give(fd, (struct broker_reply){fd < 0 ? fd : 0});
}

/* A socket over which the guest asks for names: each datagram a query, as to a name server. */
static void open_channel(struct broker *broker) {
    s32 ends[2];
    struct broker_channel *channel = broker->channel;
    while (channel < broker->channel + CHANNELS_MOST && channel->fd >= 0)
        channel++;
    if (channel == broker->channel + CHANNELS_MOST) {
        refuse_request(-HOST_ENOBUFS);
        return;
    }
    long error = host4(NR_SOCKETPAIR, BROKER_UNIX, BROKER_PACKETS | BROKER_FLAGS, 0, (long)ends);
    if (error < 0) {
        refuse_request(error);
        return;
    }
    channel->fd = ends[0];
    channel->serial = ++broker->serials;
    give(ends[1], (struct broker_reply){0});
}

static void tell_family(struct broker *broker, const struct broker_request *request) {
    log_family(&broker->pace, broker->now, request);
    refuse_request(-HOST_EACCES);
}

static void serve_request(struct broker *broker, const struct broker_request *request) {
    bool connects = request->what == BROKER_TCP || request->what == BROKER_UDP;
    if (request->what == BROKER_RESOLVER)
        open_channel(broker);
    else if (request->what == BROKER_FAMILY)
        tell_family(broker, request);
    else if (connects && request->port && request->port <= PORT_MOST)
        connect_for_guest(broker, request);
    else
        refuse_request(-HOST_EINVAL);
}
