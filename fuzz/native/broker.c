/*
 * The broker of a hostile guest and of hostile name servers.
 *
 * An input is a row of what happens to it: requests, queries, answers, time.  Each call to the host
 * is held against what a broker may do: a connection goes where the policy allows, a question is
 * for a name that it allows, a line of the log is one line of plain letters, and what is closed was
 * open.
 */
#define LIMPET_MONITOR
#include "fake.h"

#pragma GCC visibility push(default)
int dprintf(int fd, const char *format, ...);
_Noreturn void abort(void);
void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
#pragma GCC visibility pop

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
#include "broker/clock.c"
#include "broker/serve.c"
#include "policy.h" /* generated: api.test:443, *.wild.test:443, 10.1.0.0/16:80-90 */

enum { FDS = 512, FIRST = 6 };

static const u8 *input, *input_end;
static struct broker broker;
static bool is_open[FDS];
static bool is_stream[FDS];
static s64 passed;
static const u8 *heard; /* what the next recvfrom gives */
static size_t heard_size;

static _Noreturn void fail(const char *what) {
    dprintf(2, "broker: %s\n", what);
    abort();
}

static u64 take(u64 size) {
    u64 value = 0;
    for (u64 i = 0; i < size && input < input_end; i++)
        value |= (u64)*input++ << 8 * i;
    return value;
}

static long open_one(bool stream) {
    for (long fd = FIRST; fd < FDS; fd++)
        if (!is_open[fd]) {
            is_open[fd] = true;
            is_stream[fd] = stream;
            return fd;
        }
    fail("descriptors are lost");
}

/* Said once more, in other words than the broker has. */
static void look_at_place(const struct broker_place *place) {
    u32 port = (u32)(place->port >> 8 | place->port << 8) & 0xffff;
    const u8 *v4 = place->v4;
    if (place->family == AF_INET) {
        if (v4[0] == 10 && v4[1] == 1 && port >= 80 && port <= 90)
            return;
        if (v4[0] == 10 || v4[0] == 127 || !v4[0] || v4[0] >= 224 ||
            (v4[0] == 169 && v4[1] == 254) || (v4[0] == 192 && v4[1] == 168) ||
            (v4[0] == 172 && v4[1] >> 4 == 1))
            fail("a connection to an address that is refused");
    } else if (place->v6.host[0] >= 0xfc || !(place->v6.host[0] | place->v6.host[1])) {
        if (!place->v6.host[0] && place->v6.host[1] != 0x64)
            fail("a connection to an IPv4 address in other words");
        if (place->v6.host[0])
            fail("a connection to a local address");
    }
    if (port != 443)
        fail("a connection to another port");
}

/* A question has the name of an allowed one. */
static void look_at_question(const u8 *packet, size_t size) {
    static const u8 api[] = "\3api\4test", wild[] = "\4wild\4test";
    struct dns_name name;
    u32 type;
    u32 behind = take_question(packet, (u32)size, &name, &type);
    if (!behind || (type != TYPE_A && type != TYPE_AAAA) || size != behind + 11)
        fail("a question that is none");
    if (name.size == sizeof api && same_bytes(name.bytes, api, sizeof api))
        return;
    if (name.size <= sizeof wild ||
        !same_bytes(name.bytes + name.size - sizeof wild, wild, sizeof wild))
        fail("a question for a name that is not allowed");
}

static void look_at_line(const char *line, size_t size) {
    if (size < 2 || line[size - 1] != '\n' || line[size - 2] != '}')
        fail("a line without its end");
    for (size_t i = 0; i + 1 < size; i++)
        if (line[i] < ' ' || line[i] > '~')
            fail("a line with a letter that is none");
}

static long received(u8 *to, size_t size, long flags) {
    size_t got = MIN_OF(heard_size, size);
    if (!heard)
        return -HOST_EAGAIN;
    memcpy(to, heard, got);
    heard = NULL;
    return flags & WHOLE_SIZE ? (long)heard_size : (long)got;
}

long fake_host(long number, long a, long b, long c, long d, long e, long f) {
    (void)e, (void)f;
    switch (number) {
    case NR_SOCKET:
        return open_one((c & 15, (b & 15) == BROKER_STREAM));
    case NR_CONNECT:
        if (is_stream[a])
            look_at_place((const struct broker_place *)b);
        return 0;
    case NR_SOCKETPAIR:
        ((s32 *)d)[0] = (s32)open_one(false);
        ((s32 *)d)[1] = (s32)open_one(false);
        return 0;
    case NR_CLOSE:
        if (a < FIRST || a >= FDS || !is_open[a])
            fail("what is not open is closed");
        is_open[a] = false;
        return 0;
    case NR_CLOCK_GETTIME:
        *(struct timespec *)b = (struct timespec){passed, 0};
        return 0;
    case NR_GETRANDOM:
        memset((void *)a, 1, (size_t)b);
        return b;
    case NR_RECVFROM:
        return received((u8 *)b, (size_t)c, d);
    case NR_SENDTO:
        if (!(((const u8 *)b)[2] & 0x80))
            look_at_question((const u8 *)b, (size_t)c);
        return c;
    case NR_WRITE:
        look_at_line((const char *)b, (size_t)c);
        return c;
    default:
        return 0;
    }
}

static void hear(size_t size) {
    heard = input;
    heard_size = MIN_OF(size, (size_t)(input_end - input));
    input += heard_size;
}

/* What a name server answers: as it comes, or behind the right head. */
static void name_server(struct broker_ask *ask, bool right) {
    u8 packet[PACKET_MOST + 64];
    u32 size = right ? make_query(packet, ask->id, &ask->query.name, ask->query.type) - 11 : 0;
    if (right) {
        packet[2] = 0x81, packet[3] = (u8)take(1);
        put_16(packet + 6, (u32)take(1));
    }
    u64 wanted = take(2), rest = MIN_OF(wanted, sizeof packet - size);
    while (rest-- && input < input_end)
        packet[size++] = *input++;
    heard = packet, heard_size = size;
    take_reply(&broker, ask);
    heard = NULL;
}

static void happen(void) {
    struct broker_request request = {0};
    u64 what = take(1);
    u32 which = (u32)(what >> 3);
    switch (what & 7) {
    case 0:
    case 1:
        for (u64 i = 0; i < sizeof request; i++)
            ((u8 *)&request)[i] = (u8)take(1);
        request.what &= 3;
        serve_request(&broker, &request);
        return;
    case 2:
    case 3:
        hear(take(2));
        if (broker.channel[which].fd >= 0)
            hear_channel(&broker, which);
        return;
    case 4:
    case 5:
    case 6:
        if (broker.ask[which].fd >= 0)
            name_server(&broker.ask[which], (what & 7) != 4);
        return;
    default:
        passed += (s64)take(2);
        serve_turn(&broker);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    input = data, input_end = data + size;
    memset(is_open, 0, sizeof is_open);
    heard = NULL, passed = 1;
    begin(&broker, (const struct broker_policy *)policy);
    broker.server[broker.servers++] = of_v4((const u8[]){203, 0, 113, 53});
    struct broker_address host;
    u64 file = take(1);
    struct text line = {(const char *)input, (const char *)MIN_OF(input + file, input_end)};
    read_server(&broker, line);
    read_host(&broker, line);
    read_address(line, &host);
    input = (const u8 *)line.end;
    look_at_clock(&broker);
    open_channel(&broker);
    while (input < input_end)
        happen();
    return 0;
}
