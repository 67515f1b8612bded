/*
 * The porter of a hostile guest, with ports that anybody may write to.
 *
 * An input is a row of what happens to it: datagrams from outside, the guest's, what it asks for,
 * time.  Each call to the host is held against what a porter may do: from a port it sends only to
 * who has written there, and only what the guest has given it; it connects to an endpoint of the
 * plan's, with a socket of its kind; a line of the log is one line of plain letters; what is closed
 * was open.
 */
#define LIMPET_MONITOR
#include "fake.h"

#pragma GCC visibility push(default)
int dprintf(int fd, const char *format, ...);
_Noreturn void abort(void);
void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);
#pragma GCC visibility pop

static u64 least(u64 a, u64 b) {
    return a < b ? a : b;
}

enum { CARRIERS = 2, ENDPOINT_COUNT = 3, FDS = 64, FIRST = 40, HEARD_MOST = 512 };

static _Noreturn void fail(const char *what) {
    dprintf(2, "porter: %s\n", what);
    abort();
}

/* Only a start has these. */
#define LIMPET_ON_THE_WAY_H
#define LIMPET_ENDPOINTS_H
static void must(long result) {
    (void)result;
}
static long few_on_their_way(long end) {
    return end;
}
static void move_descriptor(long from, long to) {
    (void)from, (void)to;
}

#include "outside.h"
enum { BROKER_FD = 9 };
static long socket_of_4(void) {
    return host3(NR_SOCKET, AF_INET, SOCK_STREAM | SOCKET_FLAGS, 0);
}
static long socket_of_6(void) {
    return host3(NR_SOCKET, AF_INET6, SOCK_STREAM | SOCKET_FLAGS, 0);
}
static const struct outside_address ends[ENDPOINT_COUNT] = {
    {.address = {AF_INET, 0, 1, 187, 192, 0, 2, 1}, .size = 16},
    {.address = {AF_INET, 0, 0, 53, 192, 0, 2, 2}, .size = 16, .udp = true},
    {.address = {AF_INET6, 0, 0, 80, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8},
     .size = 28,
     .version_6 = true},
};
static const struct outside_address *endpoint_at(u64 index) {
    if (index >= ENDPOINT_COUNT)
        fail("an endpoint that is none");
    return &ends[index];
}

#include "features/porter/porter.h"
#include "features/porter/carry.c"
#include "features/porter/endpoints.c"
#include "features/porter/asks.c"

static const u8 *input, *input_end;
static struct porter porter;
static struct peers tables[CARRIERS];
static struct carried datagram;
static u8 writers[CARRIERS][HEARD_MOST][SOCKET_ADDRESS_SIZE];
static u32 written[CARRIERS];
static bool is_open[FDS], is_stream[FDS], is_given;
static s64 passed;
static bool full, refuses; /* the guest takes no datagrams; no descriptors */

static u64 take(u64 size) {
    u64 value = 0;
    for (u64 i = 0; i < size && input < input_end; i++)
        value |= (u64)*input++ << 8 * i;
    return value;
}

static size_t take_bytes(u8 *to, size_t size) {
    size_t got = least(size, (size_t)(input_end - input));
    memcpy(to, input, got);
    input += got;
    return got;
}

/* An address as the kernel gives it: its family, a port that is not 0, zeros behind it. */
static u32 take_address(u8 *to) {
    u64 what = take(1);
    u32 size = what & 1 ? SOCKET_ADDRESS_SIZE : SIZE_OF_4;
    memset(to, 0, SOCKET_ADDRESS_SIZE);
    to[0] = what & 1 ? AF_INET6 : AF_INET;
    to[2] = 1, to[3] = (u8)take(1);
    to[what & 1 ? 23 : 7] = (u8)(what >> 1);
    return size;
}

static long from_outside(long port, u8 *to, size_t size, u8 *address, u32 *length) {
    u8 from[SOCKET_ADDRESS_SIZE];
    u32 wanted = take_address(from);
    if (*length != SOCKET_ADDRESS_SIZE || size != DATAGRAM_MOST)
        fail("a datagram is taken into another room");
    if (written[port] == HEARD_MOST)
        return -HOST_EAGAIN;
    memcpy(writers[port][written[port]++], from, sizeof from);
    memcpy(address, from, wanted);
    *length = wanted;
    return (long)take_bytes(to, least(size, take(1)));
}

static long from_guest(u8 *to, size_t size) {
    u64 what = take(1);
    if (what == 0)
        return 0;                           /* it has ended */
    if (what & 1 && size >= CARRIED_HEAD) { /* to somebody who may have written */
        u64 port = what >> 1 & 1, which = take(2);
        memset(to, 0, CARRIED_HEAD);
        if (written[port])
            memcpy(to, writers[port][which % written[port]], SOCKET_ADDRESS_SIZE);
        return (long)(CARRIED_HEAD +
                      take_bytes(to + CARRIED_HEAD, least(take(1), size - CARRIED_HEAD)));
    }
    return (long)take_bytes(to, least(size, take(2)));
}

static long received(long fd, const long *given) {
    if (fd == PORTER_ASKS) {
        u8 asked[64] = {0};
        size_t size = take_bytes(asked, least(take(1), sizeof asked));
        memcpy((void *)given[1], asked, least(size, (size_t)given[2]));
        return (long)size;
    }
    if (fd >= PORTER_PORTS && fd < PORTER_PORTS + CARRIERS)
        return from_outside(fd - PORTER_PORTS, (u8 *)given[1], (size_t)given[2], (u8 *)given[4],
                            (u32 *)given[5]);
    if (fd >= PORTER_PAIRS && fd < PORTER_PAIRS + CARRIERS)
        return from_guest((u8 *)given[1], (size_t)given[2]);
    fail("something is received where nothing is");
}

/* Said once more, in other words than the porter has. */
static void look_at_answer(long port, const long *given) {
    const u8 *to = (const u8 *)given[4];
    u32 at = 0;
    while (at < written[port] && memcmp(writers[port][at], to, SOCKET_ADDRESS_SIZE) != 0)
        at++;
    if (at == written[port])
        fail("a datagram to somebody who has not written to the port");
    if (given[5] != (to[0] == AF_INET6 ? 28 : 16))
        fail("an address of another size");
    if (given[1] != (long)datagram.bytes || (u64)given[2] > DATAGRAM_MOST)
        fail("a datagram that the guest has not given");
}

static long sent(long fd, const long *given) {
    if (fd >= PORTER_PORTS && fd < PORTER_PORTS + CARRIERS) {
        look_at_answer(fd - PORTER_PORTS, given);
        return given[2];
    }
    if (fd < PORTER_PAIRS || fd >= PORTER_PAIRS + CARRIERS || given[4])
        fail("something is sent where nobody is");
    if ((u64)given[2] > sizeof datagram || given[1] != (long)&datagram)
        fail("the guest is given other memory");
    return full ? -HOST_EAGAIN : given[2];
}

static long opened(long kind) {
    for (long fd = FIRST; fd < FDS; fd++)
        if (!is_open[fd]) {
            is_open[fd] = true, is_stream[fd] = (kind & 15) == 1;
            return refuses ? -HOST_EAGAIN : fd;
        }
    fail("descriptors are lost");
}

static long connected(long fd, const long *given) {
    const struct outside_address *to = (const struct outside_address *)given[1];
    if (to < ends || to >= ends + ENDPOINT_COUNT || given[2] != to->size)
        fail("a connection to no endpoint");
    if (fd < FIRST || fd >= FDS || !is_open[fd] || is_stream[fd] == to->udp)
        fail("a connection of another socket");
    return passed & 1 ? -HOST_EINPROGRESS : passed & 2 ? -HOST_EACCES : 0;
}

static void look_at_line(const char *line, size_t size) {
    if (size < 2 || line[size - 1] != '\n' || line[size - 2] != '}')
        fail("a line without its end");
    for (size_t i = 0; i + 1 < size; i++)
        if (line[i] < ' ' || line[i] > '~')
            fail("a line with a letter that is none");
}

static long closed(long fd) {
    if (fd < FIRST || fd >= FDS || !is_open[fd])
        fail("what is not open is closed");
    is_open[fd] = false;
    return 0;
}

long fake_host(long number, long a, long b, long c, long d, long e, long f) {
    const long given[6] = {a, b, c, d, e, f};
    switch (number) {
    case NR_RECVFROM:
        return received(a, given);
    case NR_SENDTO:
        return sent(a, given);
    case NR_SOCKET:
        return opened(b);
    case NR_CONNECT:
        return connected(a, given);
    case NR_SENDMSG:
        is_given = true;
        return refuses ? -HOST_EAGAIN : 0;
    case NR_CLOSE:
        return closed(a);
    case NR_CLOCK_GETTIME:
        *(struct timespec *)b = (struct timespec){passed, 0};
        return 0;
    case NR_WRITE:
        look_at_line((const char *)b, (size_t)c);
        return c;
    default:
        fail("a call that no porter makes");
    }
}

static void happen(void) {
    u64 what = take(1), port = what >> 3 & 1;
    struct pollfd fds[2 * CARRIERS];
    full = what & 0x40, refuses = what & 0x80;
    switch (what & 7) {
    case 0:
    case 1:
        carry_in(&porter, port, &datagram);
        return;
    case 2:
    case 3:
        carry_out(&porter, port, &datagram);
        return;
    case 4:
    case 5:
        is_given = false;
        hear_guest(&porter);
        if (!is_given && !porter.ended)
            fail("the guest is not answered");
        for (long fd = FIRST; fd < FDS; fd++)
            if (is_open[fd] && !refuses)
                fail("a socket stays with the porter");
        memset(is_open, 0, sizeof is_open);
        return;
    case 6:
        await_ports(&porter, fds);
        return;
    default:
        passed += (s64)take(2);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    input = data, input_end = data + size;
    memset(is_open, 0, sizeof is_open);
    memset(tables, 0, sizeof tables);
    memset(written, 0, sizeof written);
    porter = (struct porter){.pace = {LINES_AT_ONCE, 0, 0}, .peers = tables};
    passed = 1;
    for (u32 i = 0; i < CARRIERS; i++)
        tables[i].key = take(8);
    while (input < input_end && !porter.ended)
        happen();
    return 0;
}
