/*
 * DNS packets (RFC 1035): the guest's questions read and answered, and the same two with the host's
 * name servers.  What goes out is always made here: no byte of a guest's packet but the name of an
 * allowed question reaches a server, and no byte of a server's but addresses reaches the guest.
 */
#include "broker/broker.h"

enum { DNS_HEADER = 12, TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, TYPE_OPT = 41, CLASS_IN = 1 };
enum { NO_ERROR = 0, FORMAT_ERROR = 1, SERVER_FAILURE = 2, NO_SUCH_NAME = 3, NOT_SERVED = 4 };
enum { CNAMES_MOST = 8, RECORDS_MOST = 128 };

static u32 get_16(const u8 *at) {
    return (u32)at[0] << 8 | at[1];
}

static u8 *put_16(u8 *at, u32 value) {
    at[0] = (u8)(value >> 8), at[1] = (u8)value;
    return at + 2;
}

static u8 *put_32(u8 *at, u32 value) {
    return put_16(put_16(at, value >> 16), value);
}

/* The one question of a packet; what follows it, 0: there is not one question. */
static u32 take_question(const u8 *packet, u32 size, struct dns_name *name, u32 *type) {
    if (size < DNS_HEADER || get_16(packet + 4) != 1)
        return 0;
    u32 at = take_name(packet, size, DNS_HEADER, name);
    if (!at || at + 4 > size)
        return 0;
    *type = get_16(packet + at);
    return get_16(packet + at + 2) == CLASS_IN ? at + 4 : 0;
}

/* A query of the guest's: no response, an ordinary query, one question of the Internet's class. */
static bool take_query(const u8 *packet, u32 size, struct broker_query *query) {
    u32 type;
    if (size < DNS_HEADER || packet[2] & 0xf8)
        return false;
    u32 behind = take_question(packet, size, &query->spelled, &type);
    if (!behind || query->spelled.size < 2)
        return false;
    lower_name(&query->spelled, &query->name);
    query->id = (u16)get_16(packet);
    query->type = (u16)type;
    query->edns = behind + 11 <= size && !packet[behind] && get_16(packet + behind + 1) == TYPE_OPT;
    return true;
}

static u8 *put_question(u8 *at, const struct dns_name *name, u32 type) {
    memcpy(at, name->bytes, name->size);
    return put_16(put_16(at + name->size, type), CLASS_IN);
}

/* Ours, to a name server: recursion desired, room for PACKET_MOST bytes. */
static u32 make_query(u8 *packet, u32 id, const struct dns_name *name, u32 type) {
    u8 *at = put_16(put_16(packet, id), 0x0100);
    at = put_16(put_16(put_16(put_16(at, 1), 0), 0), 1);
    at = put_question(at, name, type);
    *at++ = 0;
    at = put_32(put_16(put_16(at, TYPE_OPT), PACKET_MOST), 0);
    return (u32)(put_16(at, 0) - packet);
}

/* To the guest; `answer` is NULL where there are no addresses. */
static u32 make_reply(u8 *packet, const struct broker_query *query, u32 code,
                      const struct broker_answer *answer, u32 seconds) {
    u32 count = 0, each = query->type == TYPE_A ? 4 : 16;
    u8 *at = put_16(put_16(packet, query->id), 0x8180 | code);
    at = put_16(put_16(put_16(put_16(at, 1), 0), 0), 0);
    at = put_question(at, &query->spelled, query->type);
    while (answer && count < answer->count && (u32)(at - packet) + 12 + each <= QUERY_MOST) {
        at = put_16(put_16(put_16(at, 0xc000 | DNS_HEADER), query->type), CLASS_IN);
        at = put_16(put_32(at, seconds), each);
        memcpy(at, answer->address[count].bytes + 16 - each, each);
        at += each, count++;
    }
    put_16(packet + 6, count);
    return (u32)(at - packet);
}

/* One record of an answer. */
struct record {
    struct dns_name owner;
    u32 type, seconds, data, size; /* where its data is */
};

static u32 take_record(const u8 *packet, u32 size, u32 at, struct record *record) {
    struct dns_name owner;
    at = take_name(packet, size, at, &owner);
    if (!at || at + 10 > size)
        return 0;
    lower_name(&owner, &record->owner);
    record->type = get_16(packet + at + 2) == CLASS_IN ? get_16(packet + at) : 0;
    record->seconds = get_16(packet + at + 4) << 16 | get_16(packet + at + 6);
    record->size = get_16(packet + at + 8);
    record->data = at + 10;
    at += 10 + record->size;
    return at <= size ? at : 0;
}

/* What one record says of `name`: an address of the wanted type, or another name for it. */
static bool use_record(const u8 *packet, u32 size, const struct record *record,
                       struct dns_name *name, struct broker_answer *answer) {
    u32 each = answer->type == TYPE_A ? 4 : 16;
    struct dns_name other;
    if (!same_name(&record->owner, name))
        return false;
    if (record->type == answer->type && record->size == each && answer->count < ADDRESSES_MOST) {
        struct broker_address *to = &answer->address[answer->count++];
        if (each == 4)
            *to = of_v4(packet + record->data);
        else
            memcpy(to->bytes, packet + record->data, 16);
    } else if (record->type == TYPE_CNAME && !answer->count &&
               take_name(packet, size, record->data, &other)) {
        lower_name(&other, name);
    } else {
        return false;
    }
    answer->until = MIN_OF(answer->until, (s64)record->seconds);
    return true;
}

/* All records once, from `at`; whether `name` has become another one. */
static bool look_through(const u8 *packet, u32 size, u32 at, struct dns_name *name,
                         struct broker_answer *answer) {
    struct dns_name before = *name;
    struct record record;
    u32 count = MIN_OF(get_16(packet + 6), (u32)RECORDS_MOST);
    while (count-- && (at = take_record(packet, size, at, &record)))
        use_record(packet, size, &record, name, answer);
    return !answer->count && !same_name(&before, name);
}

/*
 * A name server's answer to `answer->name` and `->type`, with that id: its code; negative: it is
 * none.  `answer` gets the addresses, and in `until` how many seconds they are good for.
 */
static s32 take_answer(const u8 *packet, u32 size, u32 id, struct broker_answer *answer) {
    struct dns_name asked, name;
    u32 type;
    u32 at = take_question(packet, size, &asked, &type);
    if (!at || get_16(packet) != id || !(packet[2] & 0x80) || type != answer->type)
        return -1;
    lower_name(&asked, &name);
    if (!same_name(&name, &answer->name))
        return -1;
    answer->count = 0;
    answer->until = PINNED_MOST;
    u32 left = CNAMES_MOST;
    while (look_through(packet, size, at, &name, answer) && --left)
        ;
    return packet[3] & 15;
}
