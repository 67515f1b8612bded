/*
 * Published ports whose sockets the bundle's starter gives, as sd_listen_fds(3) has it: LISTEN_FDS
 * is how many, behind the standard descriptors, LISTEN_PID for which process, and LISTEN_FDNAMES
 * their names.
 *
 * The starter could open any port, and is trusted with that; but it can be mistaken.  So there have
 * to be exactly as many as the plan has ports for, and each of its kind: a guest takes what comes
 * to it by calls that were allowed for a socket that listens, and never waits in one.
 */
#include "core/words.h"
#include "outside.h"

enum { INHERITED_PORTS = LISTENERS + CARRIERS, NOBODY = 255, OF_SOCKETS = 1 };
enum { SO_TYPE = 3, SO_ACCEPTCONN = 30, SO_PROTOCOL = 38, SO_DOMAIN = 39, TCP = 6, UDP = 17 };
enum { NAME_AT = 3 }; /* behind "fd:" */

static _Noreturn void not_given(const char *port, const char *why) {
    const char *parts[] = {"limpet: cannot publish ", port, why};
    for (u64 i = 0; i < 3; i++)
        host3(NR_WRITE, STDERR, (long)parts[i], (long)length(parts[i]));
    for (;;)
        host3(NR_EXIT_GROUP, EXIT_CANNOT_START, 0, 0);
}

static const char *variable(char **environment, const char *name) {
    for (; *environment; environment++) {
        const char *value = behind(*environment, name);
        if (value)
            return value;
    }
    return "";
}

/* None where they are meant for another process. */
static u64 count_given(char **environment) {
    u64 process, count;
    if (!parse_number(variable(environment, "LISTEN_PID="), 0xffffffffU, &process) ||
        (long)process != host3(NR_GETPID, 0, 0, 0) ||
        !parse_number(variable(environment, "LISTEN_FDS="), 0xffffffffU, &count))
        return 0;
    return count;
}

static u64 number_of(const char *names, const char *name) {
    for (u64 number = FIRST_FD; number < NOBODY; number++) {
        const char *rest = behind(names, name);
        if (rest && (!*rest || *rest == ':'))
            return number;
        while (*names && *names != ':')
            names++;
        if (!*names++)
            break;
    }
    return NOBODY;
}

static s32 option_of(long fd, long option) {
    s32 value = -1;
    u32 size = sizeof value;
    host6(NR_GETSOCKOPT, fd, OF_SOCKETS, option, (long)&value, (long)&size, 0);
    return value;
}

static bool has_port(long fd) {
    struct outside_address at = {.size = 0};
    u32 size = sizeof at.address;
    host3(NR_GETSOCKNAME, fd, (long)at.address, (long)&size);
    return at.address[2] || at.address[3];
}

/* NULL: it is of the kind that the plan has. */
static const char *wrong_kind(long fd, bool udp) {
    s32 family = option_of(fd, SO_DOMAIN);
    if (family < 0)
        return ": what the starter gives is no socket\n";
    if (option_of(fd, SO_TYPE) != (udp ? SOCK_DGRAM : SOCK_STREAM) ||
        option_of(fd, SO_PROTOCOL) != (udp ? UDP : TCP))
        return udp ? ": the socket that the starter gives is not one of UDP\n"
                   : ": the socket that the starter gives is not one of TCP\n";
    if (udp && family != AF_INET)
        return ": a socket of UDP has to be one of IPv4, such as ListenDatagram=0.0.0.0:53\n";
    if (!udp && option_of(fd, SO_ACCEPTCONN) != 1)
        return ": the socket that the starter gives does not listen\n";
    if (udp && !has_port(fd))
        return ": the socket that the starter gives has no port\n";
    return NULL;
}

static void take_one(const struct published *port, const char *names, u64 count, long to) {
    u64 number = port->at.inherited;
    if (number == INHERITED_BY_NAME)
        number = number_of(names, port->text + NAME_AT);
    if (number - FIRST_FD >= count || host3(NR_FCNTL, (long)number, F_GETFD, 0) < 0)
        not_given(port->text, port->at.inherited == INHERITED_BY_NAME
                                  ? ": LISTEN_FDNAMES does not have it\n"
                                  : ": LISTEN_FDS does not have it\n");
    const char *why = wrong_kind((long)number, port->at.udp);
    if (why)
        not_given(port->text, why);
    if (host3(NR_FCNTL, (long)number, F_SETFL, O_NONBLOCK) < 0 ||
        host3(NR_FCNTL, (long)number, F_DUPFD_CLOEXEC, to) != to)
        not_given(port->text, ": too much else is open; give only sockets\n");
    host3(NR_CLOSE, (long)number, 0, 0);
}

static void take_inherited(const u64 *stack) {
    const struct published *ports = (const struct published *)PUBLISHED;
    char **environment = (char **)(stack + 2 + stack[0]);
    const char *names = variable(environment, "LISTEN_FDNAMES=");
    u64 count = count_given(environment);
    if (!count)
        not_given("what the starter gives",
                  ": LISTEN_FDS and LISTEN_PID give this process nothing: start it by a socket "
                  "unit of systemd's, or by systemd-socket-activate\n");
    if (count != INHERITED)
        not_given("what the starter gives",
                  ": LISTEN_FDS has to be as many sockets as the bundle has -p fd:\n");
    for (u64 i = 0; i < INHERITED_PORTS; i++)
        if (ports[i].at.inherited)
            take_one(&ports[i], names, count, (long)(INHERITED_FD + i));
}

/* What waits is at the places of its ports; whatever else is open from `first` on is not the
 * guest's, be it between them. */
static void close_but_inherited(u64 first) {
    const struct published *ports = (const struct published *)PUBLISHED;
    host3(NR_CLOSE_RANGE, (long)first, INHERITED_FD - 1, 0);
    host3(NR_CLOSE_RANGE, INHERITED_FD + INHERITED_PORTS, 0xffffffffL, 0);
    for (u64 i = 0; i < INHERITED_PORTS; i++)
        if (!ports[i].at.inherited)
            host3(NR_CLOSE, (long)(INHERITED_FD + i), 0, 0);
}

/* A parent beside the guest's process has none; in the guest's they have their places by now. */
static void drop_inherited(u64 scopes) {
    if (!scopes)
        host3(NR_CLOSE_RANGE, INHERITED_FD, INHERITED_FD + INHERITED_PORTS - 1, 0);
}
