/*
 * The broker: the process beside a guest that may connect to names, networks and ranges of ports.
 *
 * A filter cannot decide what a name leads to, so this process does: it answers the guest's DNS
 * queries for the names of the policy, and makes the connections that the policy allows.  The guest
 * gets each as a descriptor, and has no other way out.
 *
 * Trusted: the policy, which is a constant of the plan, and the host's /etc/hosts and
 * /etc/resolv.conf, which are read before anything is given up.  Hostile: every byte of the
 * guest's, and every byte that a name server answers.
 */
#ifndef LIMPET_BROKER_H
#define LIMPET_BROKER_H

#include "broker_messages.h"
#include "host.h"

enum {
    ANSWERS_MOST = 128,  /* names that are remembered */
    ADDRESSES_MOST = 16, /* of one name */
    ASKS_MOST = 32,      /* questions to the host's name servers at once */
    CHANNELS_MOST = 64,  /* sockets of the guest's that ask for names */
    SERVERS_MOST = 3,    /* as resolv.conf(5) has them */
    HOSTS_MOST = 64,     /* lines of /etc/hosts that the policy may lead to */
    NAME_MOST = 255,     /* bytes of a name in a packet (RFC 1035) */
    QUERY_MOST = 512,
    PACKET_MOST = 1232, /* asked for by EDNS: no fragments */
    TRIES = 2,          /* of each server */
};
#define BROKER_SECOND 1000000000L
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define TRY_TIME (2 * BROKER_SECOND)
#define FOR_GOOD (1L << 62)
/* However short or long a name server wants its answer to be believed, in seconds. */
enum { PINNED_LEAST = 60, PINNED_MOST = 86400 };

/* Version 4 as ::ffff:a.b.c.d, so that there is one kind of address. */
struct broker_address {
    u8 bytes[16];
};

/* A name as packets have it, lower case, the root's zero included. */
struct dns_name {
    u32 size;
    u8 bytes[NAME_MOST];
};

enum rule_kind { RULE_NAME, RULE_BELOW, RULE_NET };

/* One `--connect`, as planning/broker.py packs it. */
struct broker_rule {
    u16 port_low, port_high;
    u8 kind, udp, prefix, name_size;
    u8 net[16];
    u32 name_at; /* in what follows the rules */
};
_Static_assert(sizeof(struct broker_rule) == 28, "planning/broker.py");

struct broker_policy {
    u32 rules, pad;
    struct broker_rule rule[];
};

/* What a name was found to lead to, until when. */
struct broker_answer {
    struct dns_name name;
    u16 type, count;
    s64 until;
    u64 rules; /* those that allow the name, a bit each */
    struct broker_address address[ADDRESSES_MOST];
};

/* A socket of the guest's that asks for names: our end of it. */
struct broker_channel {
    s32 fd;
    u32 serial;
};

/* A question of the guest's. */
struct broker_query {
    u32 channel, serial;
    u16 id, type;
    u8 edns, pad[3];
    struct dns_name spelled, name; /* as the guest has it, and lower case */
};

/* Such a question on its way to a name server. */
struct broker_ask {
    s32 fd;
    u16 id;
    u8 tries;
    s64 deadline;
    u64 rules;
    struct broker_query query;
};

struct broker_host {
    struct dns_name name;
    struct broker_address address;
};

struct broker {
    const struct broker_policy *policy;
    u32 serials, servers, hosts;
    s64 now;
    struct log_pace pace;
    struct broker_address server[SERVERS_MOST];
    struct broker_channel channel[CHANNELS_MOST];
    struct broker_ask ask[ASKS_MOST];
    struct broker_answer answer[ANSWERS_MOST];
    struct broker_host host[HOSTS_MOST];
};

/* The descriptors that a broker starts with, behind its log. */
enum { REQUESTS = 3, RESOLV_CONF = 4, HOSTS = 5 };

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

static bool same_bytes(const void *a, const void *b, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (((const u8 *)a)[i] != ((const u8 *)b)[i])
            return false;
    return true;
}

#endif
